/**
 * The connection to the broker; the only file that mentions mqtt.js.
 *
 * Each attempt has a client of its own, so nothing that was published on an old connection can be
 * sent on a new one: mqtt.js would keep it.
 */

import mqtt, { type IPublishPacket, type MqttClient } from "mqtt";

import { real, type Moment } from "./clock";
import { TIME_TO_LIVE } from "./request";

export interface Credentials {
  broker: string;
  name: string;
  password: string;
}

export interface Message {
  topic: string;
  payload: Uint8Array;
  stored: boolean;
  expiry: number | null;
}

export type Connection =
  | { is: "connecting"; attempt: number }
  | { is: "connected"; since: Moment }
  | { is: "lost"; why: string; retry: Moment; attempt: number }
  | { is: "refused"; why: string };

export interface Listener {
  changed(connection: Connection): void;
  message(message: Message): void;
}

const KEEP_ALIVE = 5;
const CONNECT_LIMIT = 8000;
// A bridge says at most 60 kB at once; in a replay each quotation mark of it counts twice.
const LARGEST = 131_072;

const CREDENTIALS_REFUSED = new Set([0x84, 0x85, 0x86, 0x87, 0x8a, 0x8c]);

export class Session {
  private client: MqttClient | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private attempt = 0;
  private readonly unacknowledged = new Map<number, (code: number) => void>();
  connection: Connection = { is: "connecting", attempt: 1 };

  constructor(
    private readonly credentials: Credentials,
    private readonly listener: Listener,
    private readonly topics: string[],
  ) {}

  start(): void {
    window.addEventListener("online", this.retry);
    window.addEventListener("offline", this.offline);
    this.open();
  }

  /** For good. */
  end(): void {
    window.removeEventListener("online", this.retry);
    window.removeEventListener("offline", this.offline);
    clearTimeout(this.timer);
    this.drop();
  }

  /** Now, instead of when the waiting is over. */
  readonly retry = (): void => {
    if (this.connection.is === "lost") this.open();
  };

  private readonly offline = (): void => {
    if (this.client) this.lose("this computer has lost its network");
  };

  /**
   * `false` if there is no connection: then nothing was sent, and nothing is kept for later.
   * `acknowledged` gets the broker's reason code.
   */
  send(topic: string, payload: string, reply: string, id: string, acknowledged: (code: number) => void): boolean {
    const { client } = this;
    if (this.connection.is !== "connected" || !client?.connected) return false;
    const properties = {
      responseTopic: reply,
      // mqtt.js types it as Node's Buffer, and takes what a browser has.
      correlationData: new TextEncoder().encode(id) as Buffer,
      messageExpiryInterval: TIME_TO_LIVE,
    };
    client.publish(topic, payload, { qos: 1, retain: false, properties }, () => undefined);
    this.unacknowledged.set(client.getLastMessageId(), acknowledged);
    return true;
  }

  private open(): void {
    clearTimeout(this.timer);
    this.drop();
    this.attempt += 1;
    this.become({ is: "connecting", attempt: this.attempt });
    let client: MqttClient;
    try {
      client = mqtt.connect(this.credentials.broker, {
        protocolVersion: 5,
        clean: true,
        // Its end, and the `-`, keep two panels of one person from taking each other's connection.
        clientId: `${this.credentials.name}-${random(8)}`,
        username: this.credentials.name,
        password: this.credentials.password,
        keepalive: KEEP_ALIVE,
        connectTimeout: CONNECT_LIMIT,
        reconnectPeriod: 0,
        queueQoSZero: false,
        resubscribe: false,
        properties: { sessionExpiryInterval: 0, maximumPacketSize: LARGEST },
      });
    } catch (error) {
      this.lose(String(error));
      return;
    }
    this.client = client;
    let why = "";
    const mine = (): boolean => this.client === client;
    client.on("connect", () => mine() && this.listen(client));
    client.on("message", (topic, payload, packet) => {
      if (!mine()) return;
      try {
        this.listener.message(message(topic, payload, packet));
      } catch (error) {
        // Thrown on, it would keep mqtt.js from taking any other message.
        console.error(error);
      }
    });
    // Its callback for a publish does not tell of 0x10: nobody listens.
    client.on("packetreceive", (packet) => {
      if (!mine() || packet.cmd !== "puback" || packet.messageId === undefined) return;
      this.unacknowledged.get(packet.messageId)?.(packet.reasonCode ?? 0);
      this.unacknowledged.delete(packet.messageId);
    });
    client.on("disconnect", (packet) => {
      why = `the broker ended it (0x${(packet.reasonCode ?? 0).toString(16)})`;
    });
    client.on("error", (error) => {
      const code = (error as { code?: unknown }).code;
      if (!mine()) return;
      if (typeof code === "number" && CREDENTIALS_REFUSED.has(code)) this.refuse(code);
      else if (error.message && error.message !== "Connection refused: ") why = error.message;
    });
    client.on("close", () => mine() && this.lose(why));
  }

  private listen(client: MqttClient): void {
    client.subscribe(this.topics, { qos: 1, rap: false }, (error, granted) => {
      if (this.client !== client) return;
      if (error || !granted || granted.some(({ qos }) => qos > 2)) {
        this.lose("the broker did not take the subscriptions");
        return;
      }
      this.attempt = 0;
      this.become({ is: "connected", since: real() });
    });
  }

  private refuse(code: number): void {
    this.drop();
    const why =
      code === 0x8a
        ? "The broker has locked this name out."
        : "The broker does not know this name with this password.";
    this.become({ is: "refused", why });
  }

  private lose(why: string): void {
    this.drop();
    clearTimeout(this.timer);
    // Spread, so that all the panels of a site do not come back in one moment.
    const wait = this.attempt < 20 ? 500 + Math.random() * 1500 : 2000 + Math.random() * 8000;
    const at = real();
    this.become({
      is: "lost",
      why,
      retry: { steady: at.steady + wait, wall: at.wall + wait },
      attempt: this.attempt,
    });
    this.timer = setTimeout(() => this.open(), wait);
  }

  private drop(): void {
    const { client } = this;
    this.client = null;
    this.unacknowledged.clear();
    client?.end(true);
  }

  private become(connection: Connection): void {
    this.connection = connection;
    this.listener.changed(connection);
  }
}

function message(topic: string, payload: Uint8Array, packet: IPublishPacket): Message {
  return { topic, payload, stored: packet.retain, expiry: packet.properties?.messageExpiryInterval ?? null };
}

/** Letters and digits that nobody can guess. */
export function random(length: number): string {
  const bytes = crypto.getRandomValues(new Uint8Array(length));
  return Array.from(bytes, (byte) => "abcdefghijklmnopqrstuvwxyz234567"[byte % 32]).join("");
}
