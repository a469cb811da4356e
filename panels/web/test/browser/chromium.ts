/** The browser, and a page that is watched: what must not happen in any test, fails each. */

import assert from "node:assert/strict";

import { chromium, type Browser, type BrowserContextOptions, type Locator, type Page } from "playwright-core";

import type { Stand } from "./stand";

export const LIMIT = 20_000;

export function launch(): Promise<Browser> {
  return chromium.launch({
    executablePath: process.env["CHROMIUM"] ?? "/usr/bin/chromium",
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}

/**
 * The browser's own lines, which no page can keep from being written: that a connection failed, or that an
 * acknowledgement was on its way when the broker closed it.
 */
export const BROKER_IS_DOWN =
  /^WebSocket (connection to 'wss?:\/\/127\.0\.0\.1:\d+\/mqtt' failed|is already in CLOSING or CLOSED state)/;

export class Watched {
  private readonly errors: string[] = [];
  private readonly strangers: string[] = [];
  /** The command topics of what the page has published. */
  readonly commands: string[] = [];

  private constructor(
    readonly page: Page,
    allowed: RegExp | undefined,
    readonly close: () => Promise<void>,
  ) {
    page.setDefaultTimeout(LIMIT);
    page.on("console", (message) => {
      const isBad = message.type() === "error" || message.type() === "warning";
      if (isBad && !allowed?.test(message.text())) this.errors.push(message.text());
    });
    page.on("pageerror", (error) => {
      // At once, too: the test may fail before it comes to its end.
      console.log(error.stack ?? String(error));
      this.errors.push(error.stack ?? String(error));
    });
    page.on("request", (request) => this.asked(request.url()));
    page.on("websocket", (socket) => {
      this.asked(socket.url());
      socket.on("framesent", ({ payload }) => typeof payload !== "string" && this.sent(payload));
    });
  }

  static async open(browser: Browser, options: BrowserContextOptions & { allowed?: RegExp } = {}): Promise<Watched> {
    const { allowed, ...rest } = options;
    const context = await browser.newContext({ viewport: { width: 1440, height: 1000 }, colorScheme: "light", ...rest });
    return new Watched(await context.newPage(), allowed, () => context.close());
  }

  private asked(url: string): void {
    const isOurs = /^(https?|wss?):\/\/(127\.0\.0\.1|localhost)[:/]/.test(url) || /^(blob|file|data):/.test(url);
    if (!isOurs) this.strangers.push(url);
  }

  /** MQTT packets, several in a frame where they were written together: 3x is a PUBLISH, then its length, then its topic. */
  private sent(frame: Buffer): void {
    for (let at = 0; at < frame.length; ) {
      const kind = (frame[at] ?? 0) >> 4;
      let [length, shift] = [0, 0];
      for (at += 1; ; at += 1, shift += 7) {
        length += ((frame[at] ?? 0) & 0x7f) << shift;
        if (!((frame[at] ?? 0) & 0x80)) break;
      }
      at += 1;
      if (kind === 3) this.commands.push(frame.subarray(at + 2, at + 2 + frame.readUInt16BE(at)).toString());
      at += length;
    }
  }

  async login(stand: Stand, who: { name: string; password: string }): Promise<void> {
    await this.page.goto(stand.url);
    await this.enter(who);
  }

  async enter(who: { name: string; password: string }): Promise<void> {
    await this.page.getByLabel("Name").fill(who.name);
    await this.page.getByLabel("Password", { exact: true }).fill(who.password);
    await this.page.getByRole("button", { name: "Connect" }).click();
  }

  device(key: string): Locator {
    return this.page.locator(`[data-device="${key}"]`);
  }

  /** The control of a verb, by its label. */
  command(key: string, verb: string): Locator {
    return this.device(key).getByRole("group", { name: verb, exact: true });
  }

  /** Waits until the device's state may be shown as the truth, or not. */
  async presence(key: string, presence: string, limit = LIMIT): Promise<void> {
    await this.device(key).locator(`[data-presence="${presence}"]`).waitFor({ timeout: limit });
  }

  /** Waits for the answer under a control to come this far, and returns what it says. */
  async answer(where: Locator, stage: string, limit = LIMIT): Promise<string> {
    const answer = where.locator(`.answer[data-stage="${stage}"]`);
    await answer.waitFor({ timeout: limit }).catch(async () => {
      const found = await where.locator(".answer").allTextContents();
      assert.fail(`the answer is not ${stage} but: ${found.join(" | ")}`);
    });
    return (await answer.textContent()) ?? "";
  }

  /** Ends the page. No error was written, and nobody but the broker was asked. */
  async end(): Promise<void> {
    await this.close();
    assert.deepEqual(this.errors, [], "the browser's console");
    assert.deepEqual(this.strangers, [], "hosts that are not the broker");
  }
}

/** Waits until it holds, or says what it was last. */
export async function until<T>(what: string, look: () => Promise<T>, holds: (found: T) => boolean, limit = LIMIT): Promise<T> {
  const end = Date.now() + limit;
  for (;;) {
    const found = await look();
    if (holds(found)) return found;
    assert.ok(Date.now() < end, `${what}: it is still ${JSON.stringify(found)}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
