/** Devices that this test plays itself: those that nobody knows, many at once, and hostile ones. */

import mqtt, { type MqttClient } from "mqtt";

import type { Stand } from "./stand";

const PLAYER = { name: "web-player", password: "plays" };

export interface Commanded {
  topic: string;
  payload: Record<string, unknown>;
}

export class Player {
  readonly commands: Commanded[] = [];

  private constructor(private readonly client: MqttClient) {}

  /** Opens the broker's access control, so that one client may speak for any device; no schema knows them. */
  static async start(stand: Stand): Promise<Player> {
    await stand.type("unjudged");
    await stand.type("acl open");
    await stand.type(`password ${PLAYER.name} ${PLAYER.password}`);
    await stand.type("acl open");
    const client = await mqtt.connectAsync(`ws://127.0.0.1:${stand.where.web_port}/mqtt`, {
      protocolVersion: 5,
      username: PLAYER.name,
      password: PLAYER.password,
    });
    return new Player(client);
  }

  /** Retained, unless it is an event or a reply. */
  say(topic: string, payload: unknown): Promise<unknown> {
    const text = typeof payload === "string" ? payload : JSON.stringify(payload);
    return this.client.publishAsync(topic, text, { qos: 1, retain: !/\/(event|reply)(\/|$)/.test(topic) });
  }

  /** Without waiting for the broker. */
  throw(topic: string, payload: string): void {
    this.client.publish(topic, payload, { qos: 0, retain: true });
  }

  /** Answers each command of a device by what `reply` makes of it. */
  async answer(device: string, reply: (command: Commanded) => Record<string, unknown>[]): Promise<void> {
    await this.client.subscribeAsync(`${device}/command/+/+`, { qos: 1 });
    this.client.on("message", (topic, payload) => {
      if (!topic.startsWith(`${device}/command/`)) return;
      const command = { topic, payload: JSON.parse(payload.toString()) as Record<string, unknown> };
      this.commands.push(command);
      const [, , , by, verb] = topic.split("/");
      for (const said of reply(command)) {
        const id = command.payload["id"];
        void this.say(`${device}/reply/${by}/${String(id)}`, { id, by, verb, received_at: at(), deadline: at(5), ...said });
      }
    });
  }

  end(): Promise<void> {
    return this.client.endAsync();
  }
}

/** A date as the bus writes it, seconds from now. */
export const at = (seconds = 0): string => new Date(Date.now() + seconds * 1000).toISOString();

let seq = 0;

/** A state as a bridge would publish it, with `more`. */
export function state(more: Record<string, unknown> = {}): Record<string, unknown> {
  seq += 1;
  return {
    schema: 2,
    session: "played",
    started_at: at(-60),
    uptime_s: 60,
    seq,
    published_at: at(),
    stale_after_s: 30,
    status: "idle",
    status_label: "IDLE",
    reason: "ready",
    summary: "nothing happens",
    date: at(),
    connected: true,
    attention: [],
    last_command: null,
    ...more,
  };
}

export interface PlayedProperty extends Record<string, unknown> {
  key: string;
}

export const property = (key: string, more: Record<string, unknown> = {}): PlayedProperty => ({
  key,
  label: key,
  quantity: "number",
  unit: null,
  decimals: 1,
  words: [],
  role: "reading",
  many: false,
  history: false,
  set_by: null,
  ...more,
});

export const argument = (name: string, kind: string, more: Record<string, unknown> = {}): Record<string, unknown> => ({
  name,
  label: name,
  kind,
  unit: null,
  minimum: null,
  maximum: null,
  step: null,
  choices: null,
  choice_labels: {},
  optional: false,
  ...more,
});

export const verb = (name: string, args: Record<string, unknown>[] = [], more: Record<string, unknown> = {}): Record<string, unknown> => ({
  name,
  label: name,
  class: "exclusive",
  overriding_for: [],
  arguments: args,
  argument: args.length === 1 ? args[0] : null,
  motion: false,
  stop: false,
  reclaims: false,
  needs_id: false,
  question: null,
  timeout_s: 10,
  ...more,
});

export const WORDS = [
  { word: "idle", label: "IDLE", tone: "good" },
  { word: "busy", label: "BUSY", tone: "busy" },
];

export function meta(kind: string, properties: PlayedProperty[], verbs: Record<string, unknown>[]): Record<string, unknown> {
  const status = property("status", { label: "Status", quantity: "word", role: "headline", words: WORDS, decimals: null });
  return { schema: 2, kind, label: `a ${kind}`, model: "Played", version: "1", stale_after_s: 30, properties: [status, ...properties], verbs };
}
