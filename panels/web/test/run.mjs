// Runs tests: node test/run.mjs unit | browser [word in a file's name] | pictures | measure
//
// The programs of the stand are looked for in $OBSBUS_PROGRAMS, else in the workspace's target/debug.

import { spawnSync } from "node:child_process";
import { readdir, rm } from "node:fs/promises";
import { fileURLToPath } from "node:url";

import { build } from "esbuild";

const here = (name) => fileURLToPath(new URL(name, import.meta.url));
const [kind = "unit", word = ""] = process.argv.slice(2);
const isTest = kind === "unit" || kind === "browser";
const folder = kind === "unit" ? "unit" : "browser";
const wanted = isTest ? (name) => name.endsWith(".test.ts") && name.includes(word) : (name) => name === `${kind}.ts`;
const files = (await readdir(here(folder))).filter(wanted);
if (files.length === 0) {
  console.error(`there is no test of the kind ${kind} ${word}`);
  process.exit(1);
}

const out = here(`../.build/${kind}`);
await rm(out, { recursive: true, force: true });
await build({
  entryPoints: files.map((name) => here(`${folder}/${name}`)),
  outdir: out,
  outExtension: { ".js": ".mjs" },
  bundle: true,
  packages: "external",
  platform: "node",
  format: "esm",
  target: "node18",
  sourcemap: "inline",
  logLevel: "warning",
});
const built = files.map((name) => `${out}/${name.replace(/\.ts$/, ".mjs")}`);
const options = isTest ? ["--test", "--test-concurrency=1"] : [];
// A test that hangs fails: whoever waits for it has other tests to run.
const limit = { timeout: 20 * 60_000, killSignal: "SIGKILL" };
const { status, error } = spawnSync(process.execPath, ["--enable-source-maps", ...options, ...built], { stdio: "inherit", ...limit });
if (error) console.error(String(error));
process.exit(status ?? 1);
