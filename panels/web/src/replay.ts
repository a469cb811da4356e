/**
 * A replay of a record: its time, and its messages, which come wrapped in the lines of the record.
 * What is in them was true at the time of their line, and at no other.
 */

import { at, replayTo, type Moment } from "./clock";
import { date, entry, flag, number, parse, table, text, type Table } from "./payload";
import type { Message } from "./session";

export class Replay {
  /** The time that is shown, in milliseconds since 1970; `null` before it was told. */
  time: number | null = null;
  speed = 1;
  ended = false;
  /** Why nothing was recorded at this time. */
  gap: string | null = null;
  /** Since when this page follows it, on its own clock. */
  since: Moment | null = null;

  forget(): void {
    this.time = this.gap = this.since = null;
    this.ended = false;
  }

  /** `true` where a gap of the record begins. */
  hear(clock: Table | null): boolean {
    const time = date(clock?.["at"]);
    if (!clock || time === null) return false;
    replayTo(time);
    this.time = time;
    this.since ??= at(time);
    this.speed = number(clock["speed"]) ?? 1;
    this.ended = flag(clock["ended"]) ?? false;
    const before = this.gap;
    const gap = table(clock["gap"]);
    this.gap = gap && (text(entry(gap, "why")) ?? "");
    return this.gap !== null && before === null;
  }
}

/** The message as it came when it was recorded, and when that was. */
export function unwrapped(wrapped: Message): { message: Message; at: Moment } | null {
  const line = parse(wrapped.payload);
  const received = date(line?.["received"]);
  const [topic, payload] = [line?.["topic"], line?.["text"]];
  if (!line || received === null || typeof topic !== "string" || typeof payload !== "string") return null;
  return {
    message: {
      topic,
      payload: new TextEncoder().encode(payload),
      stored: flag(line["stored"]) ?? true,
      expiry: number(line["expires_in_s"]),
    },
    at: at(received),
  };
}
