/** Values as people read them. Pure. */

import type { Property, Tone } from "./description";
import { date, flag, number, text } from "./payload";

export interface Shown {
  text: string;
  /** Stands behind the number, smaller. */
  unit: string;
  tone: Tone | null;
}

const NOT_KNOWN: Shown = { text: "–", unit: "", tone: null };

/** As it stands behind a number. */
export function unit(of: string | null): string {
  switch (of) {
    case null:
      return "";
    case "degC":
      return "°C";
    case "degF":
      return "°F";
    case "deg":
      return "°";
    default:
      return of;
  }
}

/** A number with these decimals, and never so long that it breaks the page. */
export function figure(value: number, decimals: number | null): string {
  if (Math.abs(value) >= 1e10 || (value !== 0 && Math.abs(value) < 1e-9)) return value.toExponential(2);
  const shown = decimals === null ? String(Number(value.toPrecision(9))) : value.toFixed(decimals);
  // Nothing has no sign.
  return /^-0(\.0*)?$/.test(shown) ? shown.slice(1) : shown;
}

/** A span of time in at most two units. */
export function span(seconds: number): string {
  if (seconds < 0) return `-${span(-seconds)}`;
  if (seconds < 9.95) return `${Number(seconds.toFixed(1))} s`;
  const whole = Math.round(seconds);
  if (whole < 100) return `${whole} s`;
  if (whole < 6000) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  if (whole < 360_000) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
  return whole < 1e10 ? `${Math.floor(whole / 86_400)} d` : "very long";
}

/** An age: whole seconds, so that it counts calmly. */
export const age = (seconds: number): string => span(Math.floor(seconds) < 10 ? Math.floor(seconds) : seconds);

/** The time of the day in UTC; with the day, where it is not today's. */
export function time(at: number, today: number): string {
  const written = new Date(at).toISOString();
  const day = new Date(today).toISOString().slice(0, 10);
  return written.startsWith(day) ? written.slice(11, 19) : `${written.slice(0, 10)} ${written.slice(11, 16)}`;
}

export function shown(property: Property, value: unknown, today: number): Shown {
  if (!property.many) return one(property, value, today) ?? NOT_KNOWN;
  if (!Array.isArray(value)) return NOT_KNOWN;
  if (value.length === 0) return { ...NOT_KNOWN, text: "none" };
  const each = value.slice(0, 24).map((member) => one(property, member, today));
  const more = value.length > 24 ? ` and ${value.length - 24} more` : "";
  return {
    text: each.map((member) => member?.text ?? "–").join(", ") + more,
    unit: each.find((member) => member?.unit)?.unit ?? "",
    tone: null,
  };
}

function one(property: Property, value: unknown, today: number): Shown | null {
  switch (property.quantity) {
    case "switch": {
      const on = flag(value);
      const [yes, no] = property.setBy ? ["on", "off"] : ["yes", "no"];
      return on === null ? null : { text: on ? yes : no, unit: "", tone: null };
    }
    case "word": {
      const known = property.words.find(({ word }) => word === value);
      if (known) return { text: known.label, unit: "", tone: known.tone };
      const unknown = text(value, 60)?.replaceAll("_", " ");
      return unknown ? { text: unknown, unit: "", tone: null } : null;
    }
    case "text": {
      const found = text(value);
      return found ? { text: found, unit: "", tone: null } : null;
    }
    case "time": {
      const found = date(value);
      return found === null ? null : { text: `${time(found, today)} UTC`, unit: "", tone: null };
    }
  }
  const found = number(value);
  if (found === null) return null;
  if (property.quantity === "duration" && property.unit === "s") return { text: span(found), unit: "", tone: null };
  if (property.quantity === "ratio" && property.unit === null) {
    return { text: figure(found * 100, 0), unit: "%", tone: null };
  }
  return { text: figure(found, property.decimals), unit: unit(property.unit), tone: null };
}
