/** A replay of a record in this page: `obsbus replay` shows the past, and it is never taken for the present. */

import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import os from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";

import type { Browser } from "playwright-core";

import { launch, until, Watched } from "./chromium";
import { meta, property, verb } from "./played";
import { PAGE, PROGRAMS } from "./stand";

const LAMP = "clasp/lamp";
let browser: Browser;
let folder: string;

before(async () => {
  browser = await launch();
  folder = mkdtempSync(path.join(os.tmpdir(), "obsbus-replay-test-"));
});

after(async () => {
  for (const left of running) left.kill("SIGINT");
  await browser.close();
  rmSync(folder, { recursive: true });
});

/** A time of the night, in seconds after 03:12:00. */
const night = (seconds: number): string => new Date(Date.UTC(2025, 10, 30, 3, 12, 0) + seconds * 1000).toISOString();

const line = (seconds: number, what: string, payload: unknown, more: object = {}): object => ({
  kind: "message",
  received: night(seconds),
  topic: `${LAMP}/${what}`,
  stored: false,
  text: typeof payload === "string" ? payload : JSON.stringify(payload),
  ...more,
});

const state = (seconds: number, more: object = {}): object =>
  line(seconds, "state", {
    schema: 2, session: "s", started_at: night(-900), uptime_s: 900, seq: 900 + seconds, published_at: night(seconds),
    stale_after_s: 5, status: "idle", status_label: "IDLE", reason: "ready", summary: `it is ${seconds} s`, date: night(seconds - 1),
    connected: true, attention: [], last_command: null, level: seconds, ...more,
  });

/** The lamp speaks until 20 s, is not heard from 30 to 40 s, and is gone at 50 s. */
function record(): string {
  const lines: object[] = [
    { kind: "header", format: 1, program: "obsbus test", started_at: night(-60), sites: ["clasp"], filters: ["clasp/#"], redacted: false },
    line(-60, "meta", meta("lamp", [property("level", { role: "headline" })], [verb("dim"), verb("stop", [], { stop: true })]), { stored: true }),
    line(-60, "availability", "online", { stored: true }),
    { kind: "message", received: night(-60), topic: `${LAMP}/command/alice/dim`, stored: false, text: "40" },
  ];
  for (let seconds = -20; seconds <= 20; seconds += 2) lines.push(state(seconds));
  lines.push({ kind: "gap", from: night(30), to: night(40), why: "the broker was away" });
  lines.push(line(50, "availability", "offline"));
  lines.push({ kind: "end", date: night(70), messages: 25, why: "stopped" });
  const file = path.join(folder, "night.jsonl");
  writeFileSync(file, lines.map((each) => `${JSON.stringify(each)}\n`).join(""));
  return file;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

const running = new Set<ChildProcess>();

class Running {
  private constructor(
    private readonly child: ChildProcess,
    readonly url: string,
  ) {}

  static async start(...more: string[]): Promise<Running> {
    const port = String(await freePort());
    const child = spawn(path.join(PROGRAMS, "obsbus"), ["replay", record(), "--panel", PAGE, "--port", port, ...more], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    running.add(child);
    child.once("exit", () => running.delete(child));
    for await (const said of createInterface({ input: child.stderr })) {
      const url = /http:\S+/.exec(said);
      if (url) return new Running(child, url[0]);
    }
    throw new Error("the replay did not start");
  }

  async end(): Promise<void> {
    const ended = new Promise((resolve) => this.child.once("exit", resolve));
    this.child.kill("SIGINT");
    assert.equal(await ended, 0);
  }
}

test("a night is looked at again: its time, its states, its gap, and its end", async () => {
  const replay = await Running.start("--from", "03:12", "--speed", "5");
  const watched = await Watched.open(browser);
  await watched.page.goto(replay.url);
  const lamp = watched.device(LAMP);
  await watched.presence(LAMP, "live");
  const mark = watched.page.locator("[data-replay]");
  assert.match((await mark.textContent()) ?? "", /^REPLAY of 2025-11-30 03:12:\d\d UTC, 5 times as fast\. Nothing here is live\.$/);
  // Ages are those of that night, as the record's own clock had them.
  assert.match((await lamp.locator("[data-age]").first().textContent()) ?? "", /^read \d s ago$/);
  await until("the title", () => watched.page.title(), (title) => title === "REPLAY - obsbus");

  // The lamp falls silent, and its state grows old by the record's time.
  await watched.presence(LAMP, "stale");
  const shown = Date.parse((await mark.getAttribute("data-replay")) ?? "");
  assert.ok(shown >= Date.parse(night(24)) && shown < Date.parse(night(50)), new Date(shown).toISOString());
  await until("the gap", () => mark.textContent(), (text) => /Nothing was recorded at this time \(the broker was away\)/.test(text ?? ""));
  await watched.presence(LAMP, "gone");
  await until("the end", () => mark.textContent(), (text) => /03:13:10 UTC, the record has ended/.test(text ?? ""));
  await watched.end();
  await replay.end();
});

test("a replay offers no command and no stop, and Escape sends nothing", async () => {
  const replay = await Running.start("--from", "03:12", "--speed", "0.5");
  const watched = await Watched.open(browser);
  await watched.page.goto(replay.url);
  await watched.presence(LAMP, "live");
  await watched.device(LAMP).getByText("it is 0 s").waitFor();
  assert.equal(await watched.page.getByRole("heading", { name: "Settings and commands" }).count(), 0);
  assert.equal(await watched.page.locator("button.stop").count(), 0);
  await watched.page.keyboard.press("Escape");
  await watched.device(LAMP).getByText("it is 2 s").waitFor();
  assert.deepEqual(watched.commands, []);
  await watched.end();
  await replay.end();
});

test("who comes later sees how old a state is, and a replay that ends is told", async () => {
  const replay = await Running.start("--from", "03:12:45", "--speed", "0.1");
  const watched = await Watched.open(browser, { allowed: /WebSocket connection|ERR_CONNECTION/ });
  await watched.page.goto(replay.url);
  await watched.presence(LAMP, "stale");
  assert.match((await watched.device(LAMP).locator(".status").textContent()) ?? "", /2\d s ago it was IDLE/);
  await replay.end();
  await watched.presence(LAMP, "unconnected");
  await watched.page.getByText(/^REPLAY/).waitFor();
  await watched.end();
});
