/** A whole site with a real broker and real bridges: the workspace's `teststand`. */

import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { existsSync } from "node:fs";
import path from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** The folder panels/web, from .build/<kind>/<file>.mjs. */
export const HERE = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../..");
export const PAGE = path.join(HERE, "page");
const ROOT = path.resolve(HERE, "../..");
const TARGET = process.env["CARGO_TARGET_DIR"] ?? path.join(ROOT, "target");
/** The folder of the workspace's programs. */
export const PROGRAMS = process.env["OBSBUS_PROGRAMS"] ?? path.join(TARGET, "debug");

export interface Where {
  web_port: number;
  mqtt_port: number;
  directory: string;
  ca_file: string;
  site: string;
}

export interface Plan {
  instruments?: string[];
  control?: string[];
  settings?: string[];
  /** A listener with TLS besides: for a page that comes over https. */
  tlsPort?: number;
}

/** Who may command, and who may only look. */
export const ALICE = { name: "web-alice", password: "a secret" };
export const BOB = { name: "web-bob", password: "another" };

export class Stand {
  private typed: Promise<unknown> = Promise.resolve();

  private constructor(
    private readonly child: ChildProcess,
    private readonly lines: AsyncIterator<string>,
    readonly where: Where,
  ) {}

  static async start(plan: Plan = {}): Promise<Stand> {
    const program = path.join(PROGRAMS, "teststand");
    if (!existsSync(program)) throw new Error(`${program} is not there; run: cargo build --workspace --bins`);
    const instruments = plan.instruments ?? ["thermometer"];
    const args = [
      ...instruments.flatMap((kind) => ["--instrument", kind]),
      ...(plan.control ?? [ALICE.name]).flatMap((name) => ["--control", name]),
      ...(plan.settings ?? []).flatMap((setting) => ["--set", setting]),
      "--http-dir",
      PAGE,
      ...(plan.tlsPort ? ["--tls-port", String(plan.tlsPort)] : []),
    ];
    const child = spawn(program, args, {
      env: { ...process.env, OBSBUS_PROGRAMS: PROGRAMS },
      stdio: ["pipe", "pipe", "inherit"],
    });
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const first = await lines.next();
    if (first.done) throw new Error("the stand did not start");
    const stand = new Stand(child, lines, JSON.parse(first.value) as Where);
    for (const { name, password } of [ALICE, BOB]) await stand.type(`password ${name} ${password}`);
    return stand;
  }

  get url(): string {
    return `http://127.0.0.1:${this.where.web_port}/`;
  }

  /** One line after the other, whoever types them. */
  type(line: string): Promise<unknown> {
    const answer = this.typed.then(() => this.typeNow(line));
    this.typed = answer.catch(() => undefined);
    return answer;
  }

  private async typeNow(line: string): Promise<unknown> {
    this.child.stdin?.write(`${line}\n`);
    const answer = await this.lines.next();
    if (answer.done) throw new Error(`the stand ended at: ${line}`);
    const found = JSON.parse(answer.value) as { ok: boolean; error?: string; answer?: unknown };
    if (!found.ok) throw new Error(`${line}: ${found.error}`);
    return "answer" in found ? found.answer : found;
  }

  /** The last message of a device, an object. */
  async last(kind: string, what = "state"): Promise<Record<string, unknown>> {
    return (await this.type(`state ${kind} ${what}`)) as Record<string, unknown>;
  }

  /** Whatever a test before has broken: broker, bridges and cables are as they were at the start. */
  async mend(...kinds: string[]): Promise<void> {
    await this.type("broker thaw").catch(() => undefined);
    if (!(await this.isServing())) await this.type("broker restart");
    for (const kind of kinds) {
      await this.type(`sim ${kind} plug`);
      await this.type(`bridge ${kind} thaw`).catch(() => undefined);
      // It may have died without the stand's doing: a bridge that stood still ends itself.
      const lives = await this.type(`ready ${kind}`).then(() => true, () => false);
      if (lives) continue;
      await this.type(`bridge ${kind} kill`).catch(() => undefined);
      await this.type(`bridge ${kind} start`);
      await this.type(`ready ${kind}`);
    }
  }

  private isServing(): Promise<boolean> {
    return fetch(this.url, { signal: AbortSignal.timeout(2000) }).then(
      () => true,
      () => false,
    );
  }

  /** Fails if the stand found a message that its schema does not allow. */
  async end(): Promise<void> {
    const ended = new Promise((resolve) => this.child.once("exit", resolve));
    this.child.stdin?.end("quit\n");
    assert.equal(await ended, 0, "the stand ends without a complaint");
  }
}
