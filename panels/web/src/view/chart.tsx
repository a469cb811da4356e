/** The last 24 hours and what has come since: zoom, cursor with values, export. */

import { useEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";

import type { Property } from "../description";
import type { Device } from "../device";
import { figure, unit } from "../figure";
import { at as valueAt, number } from "../payload";
import type { Stretch } from "../series";
import { now } from "../clock";
import { useShared } from "./paint";

const HOUR = 3600;
const SPANS = [24, 6, 1, 0.25];
/** So that lines of one colour can be told apart. */
const DASHES = [[], [7, 4], [2, 3], [12, 4, 2, 4], [1, 5], [16, 6]];
const COLOURS = 6;
const AXIS = 26;

type Bounds = [number, number];

/** One plot for each unit, since one axis can have one only. */
export function byUnit(properties: Property[]): { unit: string | null; members: number[] }[] {
  const groups: { unit: string | null; members: number[] }[] = [];
  properties.forEach((property, index) => {
    const group = groups.find((known) => known.unit === property.unit);
    if (group) group.members.push(index);
    else groups.push({ unit: property.unit, members: [index] });
  });
  return groups;
}

export function Charts({ device, theme }: { device: Device; theme: string }): preact.JSX.Element | null {
  const { panel } = useShared();
  const [hours, setHours] = useState<number | null>(24);
  const [hidden, setHidden] = useState<ReadonlySet<string>>(new Set());
  const root = useRef<HTMLDivElement>(null);
  const plots = useRef<Plots | null>(null);
  const { properties, shape } = device.series;

  useEffect(() => {
    if (!root.current || properties.length === 0) return;
    const drawn = new Plots(root.current, device, () => setHours(null));
    plots.current = drawn;
    const unfollow = panel.painter.follow(device.key, () => drawn.refresh(false));
    return () => {
      unfollow();
      drawn.destroy();
    };
  }, [device, shape, theme]);
  useEffect(() => plots.current?.show(hours, hidden), [hours, hidden, shape, theme]);

  if (properties.length === 0) return null;
  const toggle = (key: string): void => {
    const changed = new Set(hidden);
    if (!changed.delete(key)) changed.add(key);
    setHidden(changed);
  };
  return (
    <section class="charts" aria-label={`${device.name}: chart`}>
      <div class="tools">
        <div class="spans" role="group" aria-label="Time shown">
          {SPANS.map((span) => (
            <button type="button" key={span} aria-pressed={hours === span} onClick={() => setHours(span)}>
              {span < 1 ? `${span * 60} min` : `${span} h`}
            </button>
          ))}
          {hours === null && <span class="zoomed">zoomed</span>}
        </div>
        <span class="when" data-when />
        <button type="button" class="quiet" onClick={() => save(device)}>
          Save as CSV
        </button>
      </div>
      <div
        class="plots"
        ref={root}
        tabIndex={0}
        role="application"
        aria-label={`Chart of ${properties.map(({ label }) => label).join(", ")}. Left and right move the cursor, plus and minus zoom, 0 shows all.`}
        onKeyDown={(event) => plots.current?.key(event)}
      >
        {byUnit(properties).map((group) => (
          <div class="plot" key={String(group.unit)} data-members={group.members.join(",")}>
            <div class="legend">
              {group.members.map((member, place) => {
                const property = properties[member];
                return (
                  property && (
                    <button
                      type="button"
                      key={property.key}
                      tabIndex={-1}
                      aria-pressed={!hidden.has(property.key)}
                      onClick={() => toggle(property.key)}
                    >
                      <svg viewBox="0 0 24 6" class={`line s${place % COLOURS}`} aria-hidden="true">
                        <path d="M0 3H24" stroke-dasharray={DASHES[place % DASHES.length]?.join(" ")} />
                      </svg>
                      <bdi>{property.label}</bdi> <span class="value" data-member={member} />
                    </button>
                  )
                );
              })}
            </div>
            <div class="canvas" />
          </div>
        ))}
      </div>
      <p class="sr" role="status" data-said />
    </section>
  );
}

function save(device: Device): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob(["\ufeff", device.series.csv()], { type: "text/csv" }));
  link.download = `${device.site}-${device.name}-${new Date().toISOString().slice(0, 16).replaceAll(":", "")}.csv`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** The canvases, which Preact does not draw. */
class Plots {
  private readonly plots: uPlot[] = [];
  private bounds: Bounds | null = null;
  private hours = 24;
  private stretches: Stretch[] = [];
  private times: number[] = [];
  private columns: (number | null)[][] = [];
  private drawnAt = 0;
  private isSetting = false;
  private readonly resize: ResizeObserver;
  private readonly visible: IntersectionObserver;
  private isVisible = false;
  private readonly shape: string;

  constructor(
    private readonly root: HTMLElement,
    private readonly device: Device,
    private readonly zoomed: () => void,
  ) {
    this.shape = device.series.shape;
    this.load();
    const style = getComputedStyle(root);
    const units = byUnit(device.series.properties);
    root.querySelectorAll<HTMLElement>(".plot").forEach((plot, index) => {
      const canvas = plot.querySelector<HTMLElement>(".canvas");
      const group = units[index];
      if (canvas && group) this.plots.push(this.make(canvas, group, style, index, index === units.length - 1));
    });
    this.resize = new ResizeObserver(() => this.fit());
    this.resize.observe(root);
    this.visible = new IntersectionObserver((entries) => {
      this.isVisible = entries.some(({ isIntersecting }) => isIntersecting);
      if (this.isVisible) this.refresh(true);
    });
    this.visible.observe(root);
  }

  destroy(): void {
    this.resize.disconnect();
    this.visible.disconnect();
    for (const plot of this.plots) plot.destroy();
  }

  private make(canvas: HTMLElement, group: ReturnType<typeof byUnit>[number], style: CSSStyleDeclaration, index: number, isLast: boolean): uPlot {
    const colour = (name: string): string => style.getPropertyValue(name).trim();
    const axis = { stroke: colour("--dim"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif" };
    const { properties } = this.device.series;
    const options: uPlot.Options = {
      width: Math.max(this.root.clientWidth, 100),
      height: (index === 0 ? 140 : 64) + (isLast ? AXIS : 6),
      tzDate: (time) => uPlot.tzDate(new Date(time * 1000), "Etc/UTC"),
      legend: { show: false },
      cursor: {
        sync: { key: this.device.key, setSeries: false },
        drag: { x: true, y: false, setScale: true },
        points: { size: 6 },
        y: false,
      },
      scales: { y: { range: (_plot, low, high) => wide(low, high) } },
      axes: [
        // The plots have one time: it is written below the last.
        { ...axis, values: (_plot, times) => times.map((time) => (isLast ? clock(time) : "")), space: 60, size: isLast ? AXIS : 6 },
        { ...axis, size: 52, space: 28, values: (_plot, values) => values.map((value) => figure(value, null)) },
      ],
      series: [
        {},
        ...group.members.map((member, place) => ({
          label: properties[member]?.key ?? "",
          stroke: colour(`--s${place % COLOURS}`),
          width: 1.75,
          dash: DASHES[place % DASHES.length] ?? [],
          points: { show: false },
        })),
      ],
      hooks: {
        setScale: [(plot, scale) => scale === "x" && this.zoom(plot)],
        setCursor: [() => this.legend()],
        draw: index === 0 ? [(plot) => this.band(plot, style)] : [],
      },
    };
    return new uPlot(options, this.data(group.members), canvas);
  }

  private data(members: number[]): uPlot.AlignedData {
    return [this.times, ...members.map((member) => this.columns[member] ?? [])];
  }

  private load(): void {
    const { times, columns } = this.device.series.chart();
    this.times = times;
    this.columns = columns;
    this.stretches = this.device.series.stretches();
    this.root.dataset["points"] = String(times.length);
  }

  /** At most once a second, and not while nobody sees it. */
  refresh(force: boolean): void {
    // The device is another one now, and these charts are about to go.
    if (this.device.series.shape !== this.shape) return;
    const at = performance.now();
    if (!force && (!this.isVisible || at - this.drawnAt < 1000)) {
      this.legend();
      return;
    }
    this.drawnAt = at;
    this.load();
    this.isSetting = true;
    const shown = this.shown();
    const groups = byUnit(this.device.series.properties);
    this.plots.forEach((plot, index) => {
      plot.batch(() => {
        plot.setData(this.data(groups[index]?.members ?? []), false);
        plot.setScale("x", { min: shown[0], max: shown[1] });
      });
    });
    this.isSetting = false;
    this.legend();
  }

  show(hours: number | null, hidden: ReadonlySet<string>): void {
    if (hours !== null) {
      this.hours = hours;
      this.bounds = null;
    }
    const { properties } = this.device.series;
    byUnit(properties).forEach((group, index) =>
      group.members.forEach((member, place) => {
        const show = !hidden.has(properties[member]?.key ?? "");
        const plot = this.plots[index];
        if (plot?.series[place + 1]?.show !== show) plot?.setSeries(place + 1, { show });
      }),
    );
    this.refresh(true);
  }

  private shown(): Bounds {
    const end = Math.max(this.times.at(-1) ?? 0, now().wall / 1000);
    return this.bounds ?? [end - this.hours * HOUR, end];
  }

  private zoom(plot: uPlot): void {
    if (this.isSetting) return;
    const { min, max } = plot.scales["x"] ?? {};
    if (min === undefined || max === undefined) return;
    const isFull = this.times.length > 0 && min <= (this.times[0] ?? 0) && max >= (this.times.at(-1) ?? 0);
    this.bounds = isFull ? null : [min, max];
    if (!isFull) this.zoomed();
    this.refresh(true);
  }

  private fit(): void {
    const width = Math.max(this.root.clientWidth, 100);
    for (const plot of this.plots) if (plot.width !== width) plot.setSize({ width, height: plot.height });
  }

  /** The values at the cursor, or those of now. */
  private legend(): void {
    const [first] = this.plots;
    const at = first?.cursor.idx ?? null;
    const { properties } = this.device.series;
    for (const cell of this.root.querySelectorAll<HTMLElement>("[data-member]")) {
      const member = Number(cell.dataset["member"]);
      const column = this.columns[member] ?? [];
      const property = properties[member];
      const value = at === null ? number(valueAt(this.device.state?.values, property?.key ?? "")) : column[at];
      const words = value === null || value === undefined || !property ? "–" : `${figure(value, property.decimals)} ${unit(property.unit)}`;
      if (cell.textContent !== words) cell.textContent = words;
    }
    const when = this.root.parentElement?.querySelector("[data-when]");
    const time = at === null ? undefined : this.times[at];
    if (when) when.textContent = time === undefined ? "" : `${new Date(time * 1000).toISOString().slice(0, 16).replace("T", " ")} UTC`;
  }

  /** Along the bottom: in which status the device was. */
  private band(plot: uPlot, style: CSSStyleDeclaration): void {
    const words = this.device.description?.properties.find(({ key }) => key === "status")?.words ?? [];
    const { ctx, bbox } = plot;
    const height = 4 * devicePixelRatio;
    ctx.save();
    for (const { from, to, status } of this.stretches) {
      const tone = words.find(({ word }) => word === status)?.tone ?? "off";
      const left = Math.max(plot.valToPos(from, "x", true), bbox.left);
      const right = Math.min(plot.valToPos(to, "x", true), bbox.left + bbox.width);
      if (right <= left) continue;
      ctx.fillStyle = style.getPropertyValue(`--${tone}`);
      ctx.fillRect(left, bbox.top + bbox.height - height, right - left, height);
    }
    ctx.restore();
  }

  key(event: KeyboardEvent): void {
    const [first] = this.plots;
    const [from, to] = this.shown();
    const middle = this.times[first?.cursor.idx ?? -1] ?? (from + to) / 2;
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const factor = { "+": 0.5, "-": 2 }[event.key];
    if (step !== undefined) this.step(step, from, to);
    else if (factor !== undefined) {
      const half = ((to - from) * factor) / 2;
      this.bounds = [middle - half, Math.min(middle + half, now().wall / 1000)];
      this.zoomed();
      this.refresh(true);
    } else if (event.key === "0") {
      this.bounds = null;
      this.hours = 24;
      this.refresh(true);
    } else return;
    event.preventDefault();
  }

  /** The cursor goes on by a fiftieth of what is shown, and what stands there is said. */
  private step(direction: number, from: number, to: number): void {
    const [first] = this.plots;
    if (!first) return;
    const now = this.times[first.cursor.idx ?? -1] ?? to;
    const aim = Math.min(Math.max(now + (direction * (to - from)) / 50, from), to);
    first.setCursor({ left: first.valToPos(aim, "x"), top: 10 });
    const cells = [...this.root.querySelectorAll(".legend button")].map((cell) => cell.textContent?.trim());
    const said = this.root.parentElement?.querySelector("[data-said]");
    const when = this.root.parentElement?.querySelector("[data-when]")?.textContent ?? "";
    if (said) said.textContent = `${when}: ${cells.join(", ")}`;
  }
}

/** A line that does not change shall not fill the plot with its last digit. */
function wide(low: number | null, high: number | null): Bounds {
  if (low === null || high === null) return [0, 1];
  const least = Math.max(Math.abs(high) * 0.01, 0.5);
  const room = Math.max(high - low, least) * 0.12;
  const middle = (low + high) / 2;
  const half = Math.max((high - low) / 2, least / 2) + room;
  return [middle - half, middle + half];
}

function clock(time: number): string {
  const written = new Date(time * 1000).toISOString();
  return written.slice(11, 19) === "00:00:00" ? written.slice(5, 10) : written.slice(11, written.slice(17, 19) === "00" ? 16 : 19);
}
