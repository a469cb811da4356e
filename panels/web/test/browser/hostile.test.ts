/** Whatever stands in a message, no script runs and no layout breaks. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import type { Browser } from "playwright-core";

import { launch, until, Watched } from "./chromium";
import { argument, at, meta, Player, property, state, verb } from "./played";
import { ALICE, Stand } from "./stand";

const DEVICE = "clasp/hostile";
const GOOD = "clasp/thermometer";

const NASTY = [
  `<img src=x onerror="window.hacked=1">`,
  `</script><script>window.hacked=1</script>`,
  `<svg onload=window.hacked=1>`,
  `javascript:window.hacked=1`,
  `"><iframe srcdoc="<script>parent.hacked=1</script>">`,
  `{{constructor.constructor('window.hacked=1')()}}`,
  `=HYPERLINK("http://evil.example")`,
  "W".repeat(5000),
  "word ".repeat(2000),
  "two\nlines\r\nand\ttabs\u0000\u001b[31m",
  "\u202eevil\u202c \u2066right to left\u2069 \u0627\u0644\u0639\u0631\u0628\u064a\u0629",
  `Z${"\u0351\u0336\u0489".repeat(200)}algo`,
  "\u{1f468}\u200d\u{1f469}\u200d\u{1f467} \u{1f534}\u{1f535} \u26a0\ufe0f",
  "\u200b\u2060\ufeff",
  "\ud800 half a letter",
  "",
];

let stand: Stand;
let browser: Browser;
let player: Player;

before(async () => {
  stand = await Stand.start();
  browser = await launch();
  player = await Player.start(stand);
});

after(async () => {
  await player?.end();
  await browser?.close();
  await stand?.end();
});

/** Every text of every message is `text`. */
async function speak(text: string): Promise<void> {
  const words = [{ word: "idle", label: text, tone: text }, { word: text, label: text, tone: "bad" }];
  await player.say(`${DEVICE}/meta`, {
    ...meta(text, [
      property("value", { label: text, unit: text, quantity: text, role: "headline", history: true }),
      property("place", { label: text, unit: text, quantity: "position", role: "headline", history: true }),
      property("goal", { label: text, unit: text, quantity: "position", role: "setting", set_by: "move" }),
      property("word", { label: text, quantity: "word", words, role: "headline" }),
      property("text", { label: text, quantity: "text", role: "reading" }),
      property("texts", { label: text, quantity: "text", many: true }),
      property("time", { label: text, quantity: "time" }),
      property("diagnostic", { label: text, quantity: "text", role: "diagnostic" }),
      property(text || "empty", { label: text, quantity: "text", role: text }),
      property("__proto__", { label: text, quantity: "text" }),
    ], [
      verb("move", [argument("to", "number", { label: text, unit: text, minimum: 0, maximum: 10, step: 0.1 })], { label: text }),
      verb("pick", [argument("one", "choice", { label: text, choices: ["a", text], choice_labels: { a: text, [text]: text } })], { label: text, question: text }),
      verb("both", [argument("name", "name", { label: text, choices: [text] }), argument("flag", "flag", { label: text })], { label: text }),
      verb("halt", [], { label: text, stop: true }),
    ]),
    label: text,
    model: text,
    version: text,
  });
  await player.say(`${DEVICE}/availability`, "online");
  await player.say(`${DEVICE}/state`, state({
    status: "idle",
    status_label: text,
    summary: text,
    reason: text,
    attention: ["info", "warning", "alarm", text].map((severity) => ({ name: text, severity, since: at(), text })),
    last_command: { id: text, by: text, verb: text, outcome: text, code: 0, date: at() },
    value: 1e308,
    place: 5,
    goal: 7,
    word: text,
    text,
    texts: Array.from({ length: 100 }, () => text),
    time: text,
    diagnostic: text,
  }));
  const event = { schema: 2, session: text, date: at(), source: text, kind: text, severity: text, by: text, verb: text, argument: text, id: text, status: text, reason: text, message: text, values: { times: text } };
  await player.say(`${DEVICE}/event`, { ...event, seq: 1 });
  await player.say(`${DEVICE}/recent`, { schema: 2, date: at(), events: Array.from({ length: 50 }, (_, seq) => ({ ...event, seq })) });
  await player.say(`${DEVICE}/history`, { schema: 2, date: at(), from: at(-3600), bin_s: 300, units: { value: text }, status: Array.from({ length: 12 }, () => text), columns: { value: [1, 2, 1e308, null, text, -1e308], place: [1, 2, 3], [text]: [1] } });
}

async function intact(watched: Watched): Promise<void> {
  const found = await watched.page.evaluate(() => {
    const card = document.querySelector('[data-device="clasp/hostile"]');
    for (const details of card?.querySelectorAll("details") ?? []) details.open = true;
    const box = card?.getBoundingClientRect();
    const outside = [...(card?.querySelectorAll("*") ?? [])].filter((element) => {
      const { left, right, width } = element.getBoundingClientRect();
      return box && width > 1 && !element.closest("svg, .canvas, .sr") && (left < box.left - 1 || right > box.right + 1);
    });
    return {
      hacked: (window as unknown as { hacked?: unknown }).hacked,
      strangers: document.querySelectorAll("#page img, #page script, #page iframe, #page object, #page embed").length,
      wide: document.documentElement.scrollWidth - document.documentElement.clientWidth,
      outside: outside.slice(0, 3).map((element) => element.outerHTML.slice(0, 120)),
      polluted: Object.keys(Object.prototype),
    };
  });
  assert.deepEqual(found, { hacked: undefined, strangers: 0, wide: 0, outside: [], polluted: [] });
}

test("hostile text in every string of every message runs nothing and breaks no layout", async () => {
  await player.answer(DEVICE, ({ payload }) => [{ status: "failed", code: 1, reason: String(payload["words"] ?? NASTY[0]), message: NASTY[0] + "W".repeat(3000) }]);
  const watched = await Watched.open(browser);
  await watched.login(stand, ALICE);
  await watched.presence(GOOD, "live");
  for (const size of [{ width: 1440, height: 1000 }, { width: 360, height: 740 }]) {
    await watched.page.setViewportSize(size);
    for (const text of NASTY) {
      await speak(text);
      await watched.presence(DEVICE, "live");
      await until("the events", () => watched.device(DEVICE).locator(".events li").count(), (count) => count > 0);
      await intact(watched);
      await watched.presence(GOOD, "live");
    }
  }
  await speak(NASTY[0] ?? "");
  const pick = watched.device(DEVICE).locator(".command .choices button").first();
  await pick.click();
  const dialog = watched.page.getByRole("dialog");
  await dialog.getByText(NASTY[0] ?? "").first().waitFor();
  // By the keyboard: two clicks on one place are a double click, and its second half confirms nothing.
  await dialog.getByRole("button").nth(1).press("Enter");
  await watched.answer(watched.device(DEVICE).locator(".command").nth(1), "failed");
  await intact(watched);
  await watched.page.keyboard.press("Escape");
  await watched.answer(watched.device(DEVICE).locator(".stopping"), "failed");
  await intact(watched);
  await watched.end();
});

/** The same random numbers each time. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

const WRONG: unknown[] = [null, true, false, 0, -1, 1e308, "x", "", [], {}, [[]], [null], { length: 5 }, { toString: 1 }, { __k: 1, type: "script", props: { children: "x" } }];

/** The message with some of its values replaced by what nobody expects there. */
function spoilt(value: unknown, chance: () => number): unknown {
  if (chance() < 0.06) return chance() < 0.5 ? WRONG[Math.floor(chance() * WRONG.length)] : NASTY[Math.floor(chance() * NASTY.length)];
  if (Array.isArray(value)) return value.map((member) => spoilt(member, chance));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [chance() < 0.02 ? "__proto__" : key, spoilt(member, chance)]));
}

test("messages that are wrong in any place leave the page as it is", async () => {
  const messages: Record<string, unknown> = {};
  for (const what of ["meta", "state", "history", "recent", "health"]) messages[what] = await until("the message", () => stand.last("thermometer", what).catch(() => null), (found) => found !== null);
  const watched = await Watched.open(browser);
  await watched.login(stand, ALICE);
  await watched.presence(GOOD, "live");
  const chance = seeded(20_261_130);
  for (let round = 0; round < 150; round += 1) {
    for (const [what, message] of Object.entries(messages)) await player.say(`${DEVICE}/${what}`, spoilt(message, chance));
    const events = (messages["recent"] as { events: unknown[] }).events;
    await player.say(`${DEVICE}/event`, spoilt(events[0], chance));
    await player.say(`${DEVICE}/reply/web-alice/x${round}`, spoilt({ id: `x${round}`, status: "accepted" }, chance));
    await player.say(`${DEVICE}/availability`, chance() < 0.9 ? "online" : (NASTY[round % NASTY.length] ?? ""));
    if (round % 10 === 0) await intact(watched);
  }
  for (const what of ["state", "meta", "history", "recent", "event"]) {
    for (const payload of ["no json", "[]", "null", '"text"', "{", "\ufeff{}", "9".repeat(50_000), `{"a":${"[".repeat(5000)}`]) await player.say(`${DEVICE}/${what}`, payload);
  }
  await intact(watched);
  await watched.presence(GOOD, "live");
  // It is still a page that works.
  const ping = watched.command(GOOD, "Ping");
  await ping.getByRole("button").click();
  await until("an answer", () => ping.locator(".answer").getAttribute("data-stage"), (stage) => stage === "refused" || stage === "done");
  await watched.end();
});

test("topics outside the alphabets are no devices", async () => {
  const watched = await Watched.open(browser);
  await watched.login(stand, ALICE);
  await watched.presence(GOOD, "live");
  for (const topic of ["clasp/<b>x/availability", "clasp/A/availability", "clasp/x y/availability", "a/b/c/d/availability", "a//availability"]) {
    await player.say(topic, "online");
  }
  // These are in the alphabet, and devices like any other.
  for (const name of ["__proto__", "constructor"]) await player.say(`__proto__/${name}/availability`, "online");
  await player.say("clasp/last/availability", "online");
  await watched.device("clasp/last").waitFor();
  const keys = await watched.page.locator("[data-device]").evaluateAll((cards) => cards.map((card) => card.getAttribute("data-device")));
  assert.deepEqual(keys.filter((key) => !["clasp/hostile", "clasp/last", GOOD].includes(key ?? "")), ["__proto__/__proto__", "__proto__/constructor"]);
  await watched.end();
});
