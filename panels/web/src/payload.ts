/**
 * Reads what comes from the bus without trusting any of it: another type than expected is `null`,
 * text loses what could hide or break something, and lists end where a page could no longer show
 * them.
 */

export type Table = Record<string, unknown>;

const LONGEST = 200;

// Control characters, direction overrides, and what has no width: with them a text can pretend to
// be another one.
const HIDDEN = /[\p{Cc}\p{Cs}\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\u{e0000}-\u{e0fff}]+/gu;
// More marks than any language puts on one letter: they would run over the lines above and below.
const PILED_MARKS = /(\p{M}{2})\p{M}+/gu;

/** A text as it may stand on the page. */
export function clean(text: string, longest = LONGEST): string {
  // Cut first, so that a megabyte costs nothing.
  const tidy = text.slice(0, longest * 4).replace(HIDDEN, " ").replace(PILED_MARKS, "$1").trim();
  const letters = [...tidy];
  return letters.length > longest ? `${letters.slice(0, longest - 1).join("")}…` : tidy;
}

export function text(value: unknown, longest = LONGEST): string | null {
  return typeof value === "string" ? clean(value, longest) : null;
}

export const number = (value: unknown): number | null =>
  typeof value === "number" && Number.isFinite(value) ? value : null;

export const flag = (value: unknown): boolean | null => (typeof value === "boolean" ? value : null);

export const table = (value: unknown): Table | null =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Table) : null;

/** At most `most` of them; nothing, if it is no list. */
export const list = (value: unknown, most: number): unknown[] =>
  Array.isArray(value) ? value.slice(0, most) : [];

/** Milliseconds since 1970 of a date as the bus writes them; none of another age of the world. */
export function date(value: unknown): number | null {
  if (typeof value !== "string" || value.length > 40 || !/^(19[7-9]|20\d|21\d)\d-\d\d-\d\dT/.test(value)) return null;
  const time = Date.parse(value);
  return Number.isFinite(time) ? time : null;
}

/** Its own entry of that name, never one that every object inherits. */
export function entry(of: unknown, key: string): unknown {
  const found = table(of);
  return found && Object.hasOwn(found, key) ? found[key] : undefined;
}

/** The value below a key in which dots stand for nesting. */
export function at(of: unknown, key: string): unknown {
  return key.split(".").reduce(entry, of);
}

/** The object that a payload holds. */
export function parse(payload: Uint8Array): Table | null {
  try {
    return table(JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(payload)));
  } catch {
    return null;
  }
}
