/** Everything that the page knows: wires the session, the devices, the requests and the painter. */

import { announcements, type Spoken } from "./announce";
import { now, Offset, real, replayTo, type Moment } from "./clock";
import type { Verb } from "./description";
import { Device, type Presence } from "./device";
import { Painter } from "./painter";
import { date, parse } from "./payload";
import * as request from "./request";
import type { Request, Values } from "./request";
import { Replay, unwrapped } from "./replay";
import { random, Session, type Connection, type Credentials, type Message } from "./session";
import { command, place, reply, REPLAY_CLOCK, REPLAYED, subscriptions } from "./topic";

/** Beyond this a site is none, and a page none either. */
const MOST_DEVICES = 400;

export class Panel {
  readonly painter = new Painter();
  readonly devices = new Map<string, Device>();
  readonly offset = new Offset();
  connection: Connection | null = null;
  identity = "";
  /** Why the last login was not let in. */
  refusal = "";
  /** Since when there is no connection. */
  lostAt: Moment | null = null;
  spoken: Spoken = { polite: "", urgent: "" };
  private session: Session | null = null;
  private readonly requests = new Map<string, Request>();
  private presences = new Map<string, Presence>();

  /** `replay`: what this page shows is over, and it commands nothing. */
  constructor(readonly replay: Replay | null = null) {
    setInterval(() => this.tick(), 1000);
  }

  login(credentials: Credentials): void {
    this.session?.end();
    this.devices.clear();
    this.requests.clear();
    this.presences.clear();
    this.offset.clear();
    this.identity = credentials.name;
    this.refusal = "";
    this.lostAt = null;
    const listener = {
      changed: (connection: Connection) => this.connectionChanged(connection),
      message: (message: Message) => (this.replay ? this.hearAgain(this.replay, message) : this.hear(message, now())),
    };
    this.session = new Session(credentials, listener, this.replay ? REPLAYED : subscriptions(credentials.name));
    this.session.start();
  }

  logout(refusal = ""): void {
    this.session?.end();
    this.session = null;
    this.connection = null;
    this.refusal = refusal;
    this.devices.clear();
    this.painter.changedAll();
  }

  retry(): void {
    this.session?.retry();
  }

  /** Since when the connection stands. */
  get connected(): Moment | null {
    if (this.replay) return this.connection?.is === "connected" ? this.replay.since : null;
    return this.connection?.is === "connected" ? this.connection.since : null;
  }

  /** Those that are there, by site and name. */
  list(): Device[] {
    const found = [...this.devices.values()].filter(({ isDevice }) => isDevice);
    return found.sort((one, other) => (one.key < other.key ? -1 : 1));
  }

  presence(device: Device, at = now()): Presence {
    return device.presence(this.connected, at);
  }

  /** The last request with this verb. */
  request(device: Device, verb: Verb): Request | undefined {
    return this.requests.get(`${device.key} ${verb.name}`);
  }

  /** What a press does. Nothing is kept for later: without a connection it is refused here. */
  press(device: Device, verb: Verb, values: Values): void {
    if (this.replay) return;
    const at = now();
    const before = this.request(device, verb);
    // A hand that is too quick; a stop may be pressed as often as somebody likes.
    if (!verb.isStop && before?.stage === "sent" && at.steady - before.at.steady < 1000) return;
    const id = `web-${random(12)}`;
    const wanted = request.payload(id, at.wall + this.offset.milliseconds, values);
    this.follow(verb, request.sent(id, device.key, verb.name, at));
    const isSent = this.session?.send(
      command(device, this.identity, verb.name),
      wanted,
      reply(device, this.identity, id),
      id,
      (code) => this.revise(id, (open) => request.acknowledged(open, code)),
    );
    if (!isSent) {
      const why = "this page has no connection to the broker. Nothing is kept for later: press again when it is back.";
      this.follow(verb, request.unsent(id, device.key, verb.name, at, why));
    }
  }

  /** What is wrong with the input, shown like an answer. */
  refuse(device: Device, verb: Verb, why: string): void {
    this.follow(verb, request.unsent("", device.key, verb.name, now(), why));
  }

  private follow(verb: Verb, of: Request): void {
    this.requests.set(`${of.device} ${verb.name}`, of);
    this.say(request.isBad(of) ? "urgent" : "polite", `${verb.label}: ${of.text}`);
    this.painter.changed(of.device);
    this.painter.changed("bar");
  }

  private revise(id: string, change: (open: Request) => Request): void {
    for (const [key, open] of this.requests) {
      if (open.id !== id) continue;
      const changed = change(open);
      if (changed === open) continue;
      this.requests.set(key, changed);
      if (changed.stage !== open.stage) this.say(request.isBad(changed) ? "urgent" : "polite", `${changed.verb}: ${changed.text}`);
      this.painter.changed(changed.device);
      this.painter.changed("bar");
    }
  }

  private connectionChanged(connection: Connection): void {
    const before = this.connection?.is;
    if (connection.is === "refused") {
      this.logout(connection.why);
      return;
    }
    this.connection = connection;
    if (connection.is === "connected") {
      if (this.lostAt) this.say("polite", "Connected again");
      if (this.replay) this.begin(this.replay);
      this.lostAt = null;
      this.offset.clear();
    } else if (before === "connected") {
      this.lostAt = real();
      for (const device of this.devices.values()) device.connectionLost();
      this.say("urgent", "No connection to the broker");
    }
    this.judge();
    this.painter.changedAll();
  }

  /** This may be another replay than before. */
  private begin(replay: Replay): void {
    replay.forget();
    replayTo(null);
    this.devices.clear();
    this.presences.clear();
  }

  private hearAgain(replay: Replay, message: Message): void {
    if (message.topic === REPLAY_CLOCK) {
      const gap = replay.hear(parse(message.payload));
      if (gap) for (const device of this.devices.values()) device.connectionLost();
      this.painter.changed("bar");
      return;
    }
    const again = unwrapped(message);
    if (again) this.hear(again.message, again.at);
  }

  private hear(message: Message, at: Moment): void {
    const from = place(message.topic);
    if (!from) return;
    const key = `${from.site}/${from.device}`;
    let device = this.devices.get(key);
    if (!device) {
      if (this.devices.size >= MOST_DEVICES) return;
      device = new Device(from.site, from.device);
      this.devices.set(key, device);
    }
    const was = device.isDevice;
    this.take(device, from.what, message, at);
    if (device.isDevice !== was || from.what === "meta") this.painter.changed("list");
    this.painter.changed(key);
  }

  private take(device: Device, what: NonNullable<ReturnType<typeof place>>["what"], message: Message, at: Moment): void {
    if (what === "availability") {
      device.hearAvailability(new TextDecoder().decode(message.payload));
      this.judge();
      return;
    }
    const payload = parse(message.payload);
    switch (what) {
      case "state": {
        device.hearState(payload, { at, stored: message.stored, expiry: message.expiry });
        const published = date(payload?.["published_at"]);
        if (published !== null && !message.stored && !this.replay) this.offset.heard(published, at);
        const last = device.state?.lastCommand;
        if (last?.id) this.revise(last.id, (open) => request.remembered(open, last, this.identity, message.stored));
        break;
      }
      case "meta":
        device.hearMeta(payload);
        if (this.replay && device.description) device.description.verbs = [];
        break;
      case "history":
        device.hearHistory(payload);
        break;
      case "recent":
        device.hearRecent(payload);
        for (const event of device.events) this.report(event, message.stored);
        break;
      case "event":
        device.hearEvent(payload);
        for (const event of device.events.slice(0, 1)) this.report(event, false);
        break;
      case "health":
        device.health = payload;
        break;
      case "reply": {
        const id = payload?.["id"];
        if (payload && typeof id === "string") this.revise(id, (open) => request.answered(open, payload, at));
      }
    }
  }

  private report(event: Device["events"][number], stored: boolean): void {
    if (event.id) this.revise(event.id, (open) => request.reported(open, event, this.identity, stored));
  }

  private tick(): void {
    if (!this.session) return;
    const at = now();
    for (const open of [...this.requests.values()]) this.revise(open.id, (found) => request.waited(found, at));
    this.judge();
    for (const key of this.devices.keys()) this.painter.changed(key);
    this.painter.changed("bar");
  }

  /** Tells who cannot see it what has become of the devices. */
  private judge(): void {
    const at = now();
    const found = new Map(this.list().map((device) => [device.key, this.presence(device, at)]));
    const { polite, urgent } = announcements(this.presences, found, this.list());
    this.presences = found;
    if (urgent) this.say("urgent", urgent);
    if (polite) this.say("polite", polite);
  }

  private say(how: keyof Spoken, words: string): void {
    this.spoken = { ...this.spoken, [how]: words };
    this.painter.changed("spoken");
  }
}
