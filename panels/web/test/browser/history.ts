/** A day of history, as a bridge finds it on its disk when it starts. */

import { writeFileSync, readdirSync, existsSync } from "node:fs";
import path from "node:path";

import type { Stand } from "./stand";

const BIN = 300;
const BINS = 288;

/**
 * Gives a bridge of the stand a yesterday: stops it, writes its history file anew with `value` for
 * each property and bin, and starts it again.
 */
export async function giveHistory(stand: Stand, kind: string, value: (key: string, bin: number) => number | null, status: (bin: number) => string): Promise<void> {
  const { columns, units } = (await stand.last(kind, "history")) as { columns: Record<string, unknown>; units: unknown };
  await stand.type(`bridge ${kind} stop`);
  const file = path.join(stand.where.directory, `state-${kind}`, "history.json");
  if (!existsSync(file)) throw new Error(`${file} is not there, but ${readdirSync(path.dirname(file)).join(", ")}`);
  const from = Math.floor(Date.now() / 1000 / BIN) * BIN - BIN * (BINS - 1);
  const bins = Array.from({ length: BINS }, (_, bin) => bin);
  const history = {
    schema: 2,
    date: new Date().toISOString(),
    from: new Date(from * 1000).toISOString(),
    bin_s: BIN,
    units,
    columns: Object.fromEntries(Object.keys(columns).map((key) => [key, bins.map((bin) => value(key, bin))])),
    status: bins.map(status),
  };
  writeFileSync(file, JSON.stringify(history));
  await stand.type(`bridge ${kind} start`);
  await stand.type(`ready ${kind}`);
}
