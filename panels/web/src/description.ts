/** What a device says of itself (`meta`), as far as it can be used. Names no instrument. */

import { flag, list, number, table, text, type Table } from "./payload";
import { isVerb } from "./topic";

export type Tone = "good" | "busy" | "warning" | "bad" | "off";
export type Role = "headline" | "reading" | "setting" | "motion" | "diagnostic";

export interface Word {
  word: string;
  label: string;
  tone: Tone;
}

export interface Property {
  key: string;
  label: string;
  quantity: string;
  unit: string | null;
  decimals: number | null;
  words: Word[];
  role: Role;
  many: boolean;
  history: boolean;
  setBy: string | null;
}

export type Argument = {
  name: string;
  label: string;
  optional: boolean;
} & (
  | { kind: "choice"; choices: { word: string; label: string }[] }
  | { kind: "number"; unit: string | null; minimum: number | null; maximum: number | null; step: number | null }
  | { kind: "name"; choices: { word: string; label: string }[] }
  | { kind: "flag" }
);

export interface Verb {
  name: string;
  label: string;
  isQuery: boolean;
  isStop: boolean;
  /** No browser has the key for it. */
  needsSignature: boolean;
  arguments: Argument[];
  question: string | null;
  timeout: number;
}

export interface Description {
  kind: string;
  label: string;
  model: string;
  version: string;
  properties: Property[];
  verbs: Verb[];
}

// The largest meta that a bridge may send has room for fewer.
const MOST = { properties: 200, verbs: 60, arguments: 12, words: 60, choices: 60 };
const TONES: readonly Tone[] = ["good", "busy", "warning", "bad", "off"];
const ROLES: readonly Role[] = ["headline", "reading", "setting", "motion", "diagnostic"];

/** A finite number of at least nothing, or what stands in for it. */
const positive = (value: unknown, otherwise: number): number => {
  const found = number(value);
  return found !== null && found > 0 ? found : otherwise;
};

const label = (of: Table, otherwise: string): string => text(of["label"], 60) || otherwise;

/** The first of each key. */
function distinct<T>(values: (T | null)[], key: (value: T) => string): T[] {
  const found = new Map<string, T>();
  for (const value of values) if (value && !found.has(key(value))) found.set(key(value), value);
  return [...found.values()];
}

export function describe(meta: Table): Description {
  const kind = text(meta["kind"], 64) ?? "";
  return {
    kind,
    label: label(meta, kind),
    model: text(meta["model"], 60) ?? "",
    version: text(meta["version"], 30) ?? "",
    properties: distinct(list(meta["properties"], MOST.properties).map(property), ({ key }) => key),
    verbs: distinct(list(meta["verbs"], MOST.verbs).map(verb), ({ name }) => name),
  };
}

function property(value: unknown): Property | null {
  const of = table(value);
  const key = of && typeof of["key"] === "string" && of["key"].length <= 200 ? of["key"] : null;
  if (!of || !key) return null;
  const decimals = number(of["decimals"]);
  return {
    key,
    label: label(of, text(key, 60) ?? ""),
    quantity: text(of["quantity"], 30) ?? "text",
    unit: text(of["unit"], 16) || null,
    decimals: decimals === null ? null : Math.min(Math.max(Math.trunc(decimals), 0), 9),
    words: distinct(list(of["words"], MOST.words).map(word), (known) => known.word),
    role: ROLES.find((role) => role === of["role"]) ?? "reading",
    many: flag(of["many"]) ?? false,
    history: flag(of["history"]) ?? false,
    setBy: typeof of["set_by"] === "string" && isVerb(of["set_by"]) ? of["set_by"] : null,
  };
}

function word(value: unknown): Word | null {
  const of = table(value);
  if (!of || typeof of["word"] !== "string") return null;
  const tone = TONES.find((known) => known === of["tone"]) ?? "off";
  return { word: of["word"], label: label(of, text(of["word"], 60) ?? ""), tone };
}

function verb(value: unknown): Verb | null {
  const of = table(value);
  if (!of || typeof of["name"] !== "string" || !isVerb(of["name"])) return null;
  const several = list(of["arguments"], MOST.arguments);
  // Version 1 had one at most.
  const given = several.length === 0 && of["argument"] ? [of["argument"]] : several;
  return {
    name: of["name"],
    label: label(of, of["name"]),
    isQuery: of["class"] === "query",
    isStop: flag(of["stop"]) ?? false,
    needsSignature: flag(of["needs_signature"]) ?? false,
    arguments: distinct(given.map(argument), ({ name }) => name),
    question: text(of["question"], 400) || null,
    timeout: Math.min(positive(of["timeout_s"], 30), 3600),
  };
}

function argument(value: unknown): Argument | null {
  const of = table(value);
  if (!of || typeof of["name"] !== "string" || !isVerb(of["name"])) return null;
  const common = { name: of["name"], label: label(of, of["name"]), optional: flag(of["optional"]) ?? false };
  switch (of["kind"] ?? guessed(of)) {
    case "choice":
      return { ...common, kind: "choice", choices: choices(of) };
    case "name":
      return { ...common, kind: "name", choices: choices(of) };
    case "number":
      return {
        ...common,
        kind: "number",
        unit: text(of["unit"], 16) || null,
        minimum: number(of["minimum"]),
        maximum: number(of["maximum"]),
        step: number(of["step"]),
      };
    case "flag":
      return { ...common, kind: "flag", optional: true };
    default:
      return null;
  }
}

/** What version 1 left to be guessed. */
function guessed(of: Table): string {
  if (Array.isArray(of["choices"])) return "choice";
  return number(of["minimum"]) !== null || of["unit"] ? "number" : "flag";
}

/** Those that have a label are to be offered; the others are further spellings. */
function choices(of: Table): { word: string; label: string }[] {
  const labels = table(of["choice_labels"]) ?? {};
  const words = list(of["choices"], MOST.choices).filter((known): known is string => typeof known === "string");
  const offered = words.filter((known) => Object.hasOwn(labels, known));
  return (offered.length > 0 ? offered : words).map((known) => ({
    word: known,
    label: text(Object.hasOwn(labels, known) ? labels[known] : known, 60) || "(no name)",
  }));
}
