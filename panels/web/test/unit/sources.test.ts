/** What must not stand in the sources. */

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const HERE = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../..");
const ROOT = path.resolve(HERE, "../..");

function files(folder: string): [name: string, text: string][] {
  return readdirSync(path.join(HERE, folder), { withFileTypes: true }).flatMap((entry) => {
    const name = `${folder}/${entry.name}`;
    return entry.isDirectory() ? files(name) : [[name, readFileSync(path.join(HERE, name), "utf8")] as [string, string]];
  });
}

const naming = (words: RegExp, except: string[] = []): string[] =>
  files("src").filter(([name, text]) => words.test(text) && !except.includes(name)).map(([name]) => name);

test("the page names no instrument", () => {
  const kinds = readdirSync(ROOT).filter((name) => name.endsWith("-bridge")).map((name) => name.slice(0, -"-bridge".length));
  assert.ok(kinds.length >= 3, kinds.join());
  assert.deepEqual(naming(new RegExp(kinds.join("|"), "i")), []);
});

test("nothing makes elements or code of text", () => {
  assert.deepEqual(naming(/innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function/i), []);
});

test("one file mentions mqtt.js, one the topics' text", () => {
  assert.deepEqual(naming(/from "mqtt"/, ["src/session.ts"]), []);
  assert.deepEqual(naming(/\/(command|reply)\//, ["src/topic.ts"]), []);
});

test("the lock file names no registry", () => {
  assert.doesNotMatch(readFileSync(path.join(HERE, "package-lock.json"), "utf8"), /"resolved"|https?:\/\/(?!opencollective|github|www\.|tidelift|feross|paulmillr)[^"]*registry/);
});

test("no source is longer than 500 lines", () => {
  const long = [...files("src"), ...files("test")].filter(([, text]) => text.split("\n").length > 500);
  assert.deepEqual(long.map(([name]) => name), []);
});
