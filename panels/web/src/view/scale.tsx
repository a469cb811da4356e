/** A position on its way, with its limits, its target, and how far a motion is. */

import { now } from "../clock";
import type { Description, Property } from "../description";
import type { Device } from "../device";
import { figure, shown, span, unit } from "../figure";
import { at, date, number } from "../payload";

export interface Axis {
  position: Property;
  target: Property | null;
  from: number;
  to: number;
}

/**
 * The axes that a description tells of: a headline that is a position, and the range of the verb
 * that sets it, or sets another position in the same unit: its target.
 */
export function axes(description: Description): Axis[] {
  const { properties, verbs } = description;
  return properties
    .filter(({ quantity, role, many }) => quantity === "position" && role === "headline" && !many)
    .flatMap((position) => {
      const set = [position, ...properties].find(
        ({ quantity, unit, many, setBy }) => quantity === "position" && unit === position.unit && !many && setBy,
      );
      const range = verbs.find(({ name }) => name === set?.setBy)?.arguments.find(({ kind }) => kind === "number");
      if (!set || range?.kind !== "number" || range.minimum === null || range.maximum === null) return [];
      if (range.maximum <= range.minimum) return [];
      return [{ position, target: set === position ? null : set, from: range.minimum, to: range.maximum }];
    });
}

const WIDTH = 1000;

export function Scale({ device, axis, live }: { device: Device; axis: Axis; live: boolean }): preact.JSX.Element {
  const values = device.state?.values;
  const place = number(at(values, axis.position.key));
  const target = axis.target && number(at(values, axis.target.key));
  const x = (value: number): number =>
    Math.min(Math.max((value - axis.from) / (axis.to - axis.from), 0), 1) * WIDTH;
  const of = unit(axis.position.unit);
  const said = (value: number | null): string => (value === null ? "not known" : `${figure(value, axis.position.decimals)} ${of}`);
  const words = `${axis.position.label}: ${said(place)}${target === null ? "" : `, target ${said(target)}`}, limits ${axis.from} to ${axis.to} ${of}`;
  const ticks = Array.from({ length: 7 }, (_, index) => axis.from + ((axis.to - axis.from) * index) / 6);
  return (
    <div class={live ? "scale" : "scale old"}>
      <svg viewBox={`-20 0 ${WIDTH + 40} 62`} role="img" aria-label={words}>
        <rect class="way" x="0" y="22" width={WIDTH} height="12" rx="3" />
        {place !== null && <rect class="done" x="0" y="22" width={x(place)} height="12" rx="3" />}
        {ticks.map((tick) => (
          <line key={tick} class="tick" x1={x(tick)} x2={x(tick)} y1="38" y2="46" />
        ))}
        {target !== null && <path class="target" d={`M${x(target)} 37 l11 18 h-22 Z`} />}
        {place !== null && <path class="place" d={`M${x(place)} 36 l-12 -22 h24 Z`} />}
      </svg>
      <div class="ends" aria-hidden="true">
        <span>{figure(axis.from, null)}</span>
        {target !== null && <span class="aim">target {said(target)}</span>}
        <span>
          {figure(axis.to, null)} {of}
        </span>
      </div>
    </div>
  );
}

/** How far what moves is; nothing while nothing moves. */
export function Motion({ device, description }: { device: Device; description: Description }): preact.JSX.Element | null {
  const motion = description.properties.filter(({ role }) => role === "motion");
  const values = device.state?.values;
  const progress = motion.find(({ quantity }) => quantity === "ratio");
  const part = progress ? number(at(values, progress.key)) : null;
  if (part === null) return null;
  const share = Math.min(Math.max(progress?.unit === "%" ? part / 100 : part, 0), 1);
  const left = motion.find(({ quantity }) => quantity === "duration");
  const seconds = left ? number(at(values, left.key)) : null;
  const end = motion.find(({ quantity }) => quantity === "time");
  const ends = end && seconds === null && date(at(values, end.key)) !== null ? shown(end, at(values, end.key), now().wall) : null;
  return (
    <div class="motion">
      <progress value={share} max={1} aria-label={`${device.name}: ${progress?.label ?? "progress"}`} />
      <span>
        {Math.round(share * 100)} %{seconds !== null && `, ${span(Math.max(seconds, 0))} left`}
        {ends && `, ${end?.label} ${ends.text}`}
      </span>
    </div>
  );
}
