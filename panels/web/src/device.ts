/**
 * One device as this page knows it, and whether what it knows may be shown as the truth. Pure: the
 * time is an argument.
 *
 * A state is only true while three signs agree: the bridge is online, the state was renewed within
 * its own time, and (the page's own) the broker is connected. Whether the device answers its bridge
 * is part of the state itself.
 */

import { since, type Moment } from "./clock";
import { describe, type Description, type Tone } from "./description";
import { date, entry, flag, list, number, table, text, type Table } from "./payload";
import { Series } from "./series";

export interface Attention {
  name: string;
  severity: string;
  text: string;
  since: number | null;
}

export interface LastCommand {
  id: string | null;
  by: string;
  verb: string;
  outcome: string | null;
  code: number | null;
  date: number | null;
}

/** A state, with its age when it came. */
export interface State {
  values: Table;
  label: string;
  summary: string;
  tone: Tone;
  connected: boolean;
  attentions: Attention[];
  /** How many there are beyond those. */
  moreAttentions: number;
  lastCommand: LastCommand | null;
  staleAfter: number;
  at: Moment;
  /** Seconds since it was published, and since the last valid reading, at that moment. */
  publishedAge: number;
  readingAge: number | null;
}

export interface Happening {
  key: string;
  date: number | null;
  kind: string;
  severity: string;
  message: string;
  by: string | null;
  verb: string | null;
  id: string | null;
  status: string | null;
  code: number | null;
  reason: string | null;
}

/** How far what is known may be shown as the truth. */
export type Presence = "live" | "unconnected" | "waiting" | "gone" | "silent" | "stale";

/** How a message came. */
export interface Arrival {
  at: Moment;
  /** From the broker's store: it may have been there for long. */
  stored: boolean;
  /** What the broker says is left of its life, in seconds. */
  expiry: number | null;
}

const MOST_ATTENTIONS = 12;
const MOST_EVENTS = 100;
/** So long the broker's stored messages may take after a connection was made, in seconds. */
const FIRST_WORDS = 5;

export class Device {
  readonly key: string;
  description: Description | null = null;
  state: State | null = null;
  availability: "online" | "offline" | null = null;
  events: Happening[] = [];
  health: Table | null = null;
  readonly series = new Series();
  /** It has, or had before a connection was lost, an availability: it does not vanish with that. */
  private isKnown = false;

  constructor(
    readonly site: string,
    readonly name: string,
  ) {
    this.key = `${site}/${name}`;
  }

  /** What a bridge has, and an input of another service has not. */
  get isDevice(): boolean {
    return this.description !== null || this.isKnown;
  }

  /** After a connection was lost nothing counts that was not said again. */
  connectionLost(): void {
    this.availability = null;
    this.series.gap();
  }

  hearMeta(payload: Table | null): void {
    this.description = payload ? describe(payload) : null;
    if (this.description) this.series.keep(this.description);
    if (this.state) this.state.tone = this.toneOf(this.state.values["status"]);
  }

  hearAvailability(payload: string): void {
    this.availability = payload === "online" || payload === "offline" ? payload : null;
    this.isKnown = this.availability !== null;
  }

  hearState(values: Table | null, arrival: Arrival): void {
    if (!values) {
      this.state = null;
      return;
    }
    const given = number(values["stale_after_s"]);
    const staleAfter = given !== null && given >= 0.5 && given <= 3600 ? given : 30;
    const published = date(values["published_at"]);
    const read = date(values["date"]);
    const publishedAge = ageOnArrival(published, staleAfter, arrival);
    const attentions = list(values["attention"], Number.MAX_SAFE_INTEGER);
    this.state = {
      values,
      label: text(values["status_label"], 40) || text(values["status"], 40)?.toUpperCase() || "NO STATUS",
      summary: text(values["summary"], 300) ?? "",
      tone: this.toneOf(values["status"]),
      connected: flag(values["connected"]) ?? false,
      attentions: attentions.slice(0, MOST_ATTENTIONS).map(attention).filter((found) => found !== null),
      moreAttentions: Math.max(attentions.length - MOST_ATTENTIONS, 0),
      lastCommand: lastCommand(values["last_command"]),
      staleAfter,
      at: arrival.at,
      publishedAge,
      // Both dates are of the bridge's clock, so no difference between the clocks matters.
      readingAge: read === null || published === null ? null : Math.max(published - read, 0) / 1000 + publishedAge,
    };
    if (read !== null) this.series.live(read / 1000, values);
  }

  hearHistory(payload: Table | null): void {
    if (payload) this.series.hearHistory(payload);
  }

  hearEvent(payload: Table | null): void {
    if (payload) this.add([payload]);
  }

  hearRecent(payload: Table | null): void {
    if (payload) this.add(list(payload["events"], MOST_EVENTS));
  }

  private add(events: unknown[]): void {
    const found = new Map(this.events.map((known) => [known.key, known]));
    for (const value of events) {
      const event = happening(value);
      if (event) found.set(event.key, event);
    }
    const newestFirst = [...found.values()].sort((one, other) => (other.date ?? 0) - (one.date ?? 0));
    this.events = newestFirst.slice(0, MOST_EVENTS);
  }

  private toneOf(status: unknown): Tone {
    const property = this.description?.properties.find(({ key }) => key === "status");
    return property?.words.find(({ word }) => word === status)?.tone ?? "off";
  }

  /** Seconds since the state was published. */
  publishedAge(at: Moment): number | null {
    return this.state && this.state.publishedAge + since(this.state.at, at);
  }

  /** Seconds since the last valid reading. */
  readingAge(at: Moment): number | null {
    const age = this.state?.readingAge ?? null;
    return age === null || !this.state ? null : age + since(this.state.at, at);
  }

  /** `connected`: since when this page has its connection; `null` without one. */
  presence(connected: Moment | null, at: Moment): Presence {
    if (!connected) return "unconnected";
    const heardFor = since(connected, at);
    if (this.availability === "offline") return "gone";
    const age = this.publishedAge(at);
    if (this.state && age !== null && age > this.state.staleAfter && heardFor > 1) return "stale";
    if (this.state && this.availability === "online" && age !== null && age <= this.state.staleAfter) return "live";
    return heardFor > FIRST_WORDS ? "silent" : "waiting";
  }
}

/** How old a message is when it comes, in seconds. */
function ageOnArrival(published: number | null, staleAfter: number, arrival: Arrival): number {
  if (!arrival.stored) return 0;
  // The broker counts a stored message's life down, by its own clock alone.
  if (arrival.expiry !== null && arrival.expiry <= staleAfter) return staleAfter - arrival.expiry;
  return published === null ? staleAfter : Math.max(arrival.at.wall - published, 0) / 1000;
}

function attention(value: unknown): Attention | null {
  const of = table(value);
  if (!of) return null;
  const name = text(of["name"], 60) ?? "";
  return {
    name,
    severity: text(of["severity"], 20) ?? "warning",
    text: text(of["text"], 300) || name,
    since: date(of["since"]),
  };
}

function lastCommand(value: unknown): LastCommand | null {
  const of = table(value);
  return (
    of && {
      id: typeof of["id"] === "string" ? of["id"] : null,
      by: text(of["by"], 64) ?? "",
      verb: text(of["verb"], 40) ?? "",
      outcome: text(of["outcome"], 40),
      code: number(of["code"]),
      date: date(of["date"]),
    }
  );
}

function happening(value: unknown): Happening | null {
  const of = table(value);
  if (!of) return null;
  return {
    key: `${text(of["session"], 64) ?? ""}/${number(of["seq"]) ?? ""}`,
    date: date(of["date"]),
    kind: text(of["kind"], 30) ?? "",
    severity: text(of["severity"], 20) ?? "info",
    message: text(of["message"], 400) || sentence(of),
    by: text(of["by"], 64),
    verb: text(of["verb"], 40),
    id: typeof of["id"] === "string" ? of["id"] : null,
    status: text(of["status"], 20),
    code: number(of["code"]),
    reason: text(of["reason"], 40),
  };
}

/** For an event that brings no sentence of its own. */
function sentence(of: Table): string {
  const words = [of["verb"], of["argument"], of["status"] ?? of["reason"] ?? of["kind"]];
  const times = number(entry(of["values"], "times"));
  const said = words.map((word) => (typeof word === "number" ? String(word) : text(word, 60))).filter(Boolean);
  return said.join(" ").replaceAll("_", " ") + (times === null ? "" : ` (${times} times)`);
}
