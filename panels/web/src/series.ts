/**
 * What the charts draw: the stored history of a day, and behind it what this page heard itself.
 * Pure.
 */

import type { Description, Property } from "./description";
import { at, date, list, number, table, text, type Table } from "./payload";

/** The readings heard live that are kept at full density, in seconds. */
const DENSE = 900;
const MOST_LIVE = 4000;
const MOST_BINS = 2000;

export interface Chart {
  /** Seconds since 1970, rising. */
  times: number[];
  /** For each property its values at those times. */
  columns: (number | null)[][];
}

/** A span of time in which the device was in one status. */
export interface Stretch {
  from: number;
  to: number;
  status: string;
}

interface Bins {
  from: number;
  width: number;
  columns: Map<string, (number | null)[]>;
  status: (string | null)[];
}

export class Series {
  properties: Property[] = [];
  /** What the charts are made for: another one needs other charts. */
  shape = "";
  private bins: Bins | null = null;
  private times: number[] = [];
  private heard = new Map<string, (number | null)[]>();
  private statuses: (string | null)[] = [];

  /** Which properties have a history. What was heard of others is forgotten. */
  keep(description: Description): void {
    const wanted = description.properties.filter((property) => property.history && !property.many).slice(0, 24);
    const shape = wanted.map(({ key, unit }) => `${key} ${unit}`).join("\n");
    if (shape !== this.shape) {
      this.times = [];
      this.statuses = [];
      this.heard = new Map(wanted.map(({ key }) => [key, []]));
    }
    this.properties = wanted;
    this.shape = shape;
  }

  /** A reading of this moment, in seconds since 1970. */
  live(time: number, state: Table): void {
    const last = this.times.at(-1) ?? -Infinity;
    if (this.properties.length === 0 || time < last) return;
    const before = this.times.at(-2) ?? -Infinity;
    // One point a second: what moves reports ten times as often.
    if (last > -Infinity && time - before < 1) this.dropLast();
    this.push(time, text(state["status"], 40), (key) => drawable(at(state, key)));
    if (this.times.length > MOST_LIVE) this.dropFirst(this.times.length - MOST_LIVE);
  }

  /** The line must not run on over a time in which nothing was heard. */
  gap(): void {
    const last = this.times.at(-1);
    if (last !== undefined) this.push(last + 0.001, null, () => null);
  }

  private push(time: number, status: string | null, value: (key: string) => number | null): void {
    this.times.push(time);
    this.statuses.push(status);
    for (const [key, values] of this.heard) values.push(value(key));
  }

  private dropLast(): void {
    this.times.pop();
    this.statuses.pop();
    for (const values of this.heard.values()) values.pop();
  }

  private dropFirst(count: number): void {
    this.times.splice(0, count);
    this.statuses.splice(0, count);
    for (const values of this.heard.values()) values.splice(0, count);
  }

  hearHistory(payload: Table): void {
    const from = date(payload["from"]);
    const width = number(payload["bin_s"]);
    const columns = table(payload["columns"]);
    if (from === null || width === null || width < 1 || width > 86_400 || !columns) return;
    const numbers = (values: unknown): (number | null)[] => list(values, MOST_BINS).map(drawable);
    this.bins = {
      from: from / 1000,
      width,
      columns: new Map(Object.entries(columns).map(([key, values]) => [key, numbers(values)])),
      status: list(payload["status"], MOST_BINS).map((status) => text(status, 40)),
    };
    // What the history covers needs no denser points, once it is no longer of the moment.
    const covered = Math.min(this.bins.from + this.bins.width * (this.bins.status.length - 1), (this.times.at(-1) ?? 0) - DENSE);
    const dense = this.times.findIndex((time) => time >= covered);
    if (dense > 0) this.dropFirst(dense);
  }

  /** The bins up to the first reading that was heard live, and those readings. */
  chart(): Chart {
    const { bins } = this;
    const times: number[] = [];
    const columns: (number | null)[][] = this.properties.map(() => []);
    if (bins) {
      const end = this.times[0] ?? Infinity;
      const count = Math.max(0, ...this.properties.map(({ key }) => bins.columns.get(key)?.length ?? 0));
      for (let index = 0; index < count; index += 1) {
        const middle = bins.from + (index + 0.5) * bins.width;
        if (middle >= end) break;
        times.push(middle);
        this.properties.forEach(({ key }, column) => columns[column]?.push(bins.columns.get(key)?.[index] ?? null));
      }
    }
    for (const time of this.times) times.push(time);
    this.properties.forEach(({ key }, column) => {
      for (const value of this.heard.get(key) ?? []) columns[column]?.push(value);
    });
    return { times, columns };
  }

  /** When it was in which status. */
  stretches(): Stretch[] {
    const stretches: Stretch[] = [];
    const add = (from: number, to: number, status: string | null): void => {
      const last = stretches.at(-1);
      if (status === null) return;
      if (last && last.status === status && from - last.to < 1) last.to = to;
      else stretches.push({ from, to, status });
    };
    const { bins } = this;
    const end = this.times[0] ?? Infinity;
    bins?.status.forEach((status, index) => {
      const from = bins.from + index * bins.width;
      if (from < end) add(from, Math.min(from + bins.width, end), status);
    });
    this.times.forEach((time, index) => add(time, this.times[index + 1] ?? time, this.statuses[index] ?? null));
    return stretches;
  }

  /** For a spreadsheet: one line for each time, in UTC. */
  csv(): string {
    const { times, columns } = this.chart();
    const head = ["time_utc", ...this.properties.map(({ key, unit }) => (unit ? `${key} [${unit}]` : key))];
    const lines = times.map((time, index) =>
      [new Date(time * 1000).toISOString(), ...columns.map((column) => column[index] ?? "")].join(","),
    );
    return [head.map(quoted).join(","), ...lines, ""].join("\r\n");
  }
}

/** An axis to the end of the numbers has no marks. */
function drawable(value: unknown): number | null {
  const found = number(value);
  return found !== null && Math.abs(found) < 1e12 ? found : null;
}

/** What begins like a formula is run by spreadsheets. */
const quoted = (words: string): string => `"${(/^[=+\-@\t]/.test(words) ? `'${words}` : words).replaceAll('"', '""')}"`;
