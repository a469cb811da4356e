/** Instruments that nobody knows, several sites, and many devices at once. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import type { Browser } from "playwright-core";

import { launch, until, Watched } from "./chromium";
import { argument, meta, Player, property, state, verb } from "./played";
import { ALICE, Stand } from "./stand";

const WHEEL = "clasp/wheel";

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

const ARM = [
  property("arm.angle", { label: "Arm", quantity: "position", unit: "deg", decimals: 2, role: "headline", history: true }),
  property("arm.goal", { label: "Goal", quantity: "position", unit: "deg", decimals: 2, role: "setting", set_by: "point" }),
  property("filter", { label: "Filter", quantity: "text", role: "setting", set_by: "insert" }),
  property("lamp", { label: "Lamp", quantity: "switch", role: "setting", set_by: "lamp" }),
  property("done", { label: "Done", quantity: "ratio", role: "motion", decimals: 2 }),
  property("left", { label: "Left", quantity: "duration", unit: "s", role: "motion" }),
  property("slots", { label: "Slots", quantity: "count", many: true, decimals: 0 }),
  property("humidity", { label: "Humidity", quantity: "humidity", unit: "%", decimals: 0 }),
];

const VERBS = [
  verb("insert", [argument("name", "name", { label: "Filter", choices: ["u-band", "clear"] })], { label: "Insert" }),
  verb("note", [argument("words", "name", { label: "Words" })], { label: "Note" }),
  verb("point", [argument("degrees", "number", { label: "Angle", unit: "deg", minimum: -90, maximum: 90, step: 0.5 })], { label: "Point" }),
  verb("lamp", [argument("state", "choice", { choices: ["on", "off"], choice_labels: { on: "On", off: "Off" } })], { label: "Lamp" }),
  verb("blink", [argument("fast", "flag", { optional: true, label: "Fast" })], { label: "Blink" }),
  verb("halt", [], { label: "Halt", stop: true, class: "overriding" }),
];

async function play(more: Record<string, unknown> = {}): Promise<void> {
  await player.say(`${WHEEL}/state`, state({ arm: { angle: -12.345, goal: 45 }, filter: "clear", lamp: true, done: 0.25, left: 12, slots: [1, null, 3], humidity: 41, ...more }));
}

async function panel(): Promise<Watched> {
  const watched = await Watched.open(browser);
  await watched.login(stand, ALICE);
  return watched;
}

test("an instrument that nobody knows is shown and commanded by its meta alone", async () => {
  await player.say(`${WHEEL}/meta`, meta("wheel", ARM, VERBS));
  await player.say(`${WHEEL}/availability`, "online");
  await play();
  await player.answer(WHEEL, () => [{ status: "accepted", code: null }, { status: "succeeded", code: 0, message: "" }]);
  const watched = await panel();
  await watched.presence(WHEEL, "live");
  const wheel = watched.device(WHEEL);
  const shown = (key: string) => wheel.locator(`[data-property="${key}"] dd`).first().textContent();
  assert.equal(await shown("arm.angle"), "-12.35°");
  assert.equal(await shown("slots"), "1, –, 3");
  assert.equal(await shown("humidity"), "41%");
  assert.equal(await wheel.getByRole("img").first().getAttribute("aria-label"), "Arm: -12.35 °, target 45.00 °, limits -90 to 90 °");
  assert.match((await wheel.locator(".motion").textContent()) ?? "", /25 %, 12 s left/);

  const press = async (name: string, fill: (command: ReturnType<Watched["command"]>) => Promise<void>, wanted: Record<string, unknown>): Promise<void> => {
    const command = watched.command(WHEEL, name);
    const before = player.commands.length;
    await fill(command);
    // The control may still show the answer to an earlier press.
    await until(`the command of ${name}`, async () => player.commands.length, (found) => found > before);
    await watched.answer(command, "done");
    const [sent] = player.commands.slice(before);
    const { id, ts, ttl_s, ...given } = sent?.payload ?? {};
    assert.deepEqual(given, wanted);
    assert.match(String(id), /^web-[a-z2-7]{12}$/);
    assert.ok(Math.abs(Date.parse(String(ts)) - Date.now()) < 5000);
    assert.equal(ttl_s, 10);
  };
  await press("Insert", async (command) => {
    await command.getByRole("radio", { name: "u-band" }).check();
    await command.getByRole("button").click();
  }, { name: "u-band" });
  await press("Note", async (command) => {
    await command.getByLabel("Words").fill("wet snow");
    await command.getByLabel("Words").press("Enter");
  }, { words: "wet snow" });
  await press("Point", async (command) => {
    await command.getByLabel("Angle").fill("-1.5");
    await command.getByRole("button").click();
  }, { degrees: -1.5 });
  await press("Lamp", async (command) => {
    assert.equal(await command.getByRole("button", { name: "On" }).getAttribute("aria-pressed"), "true");
    await command.getByRole("button", { name: "Off" }).click();
  }, { state: "off" });
  await press("Blink", (command) => command.getByRole("button").click(), {});
  await press("Blink", async (command) => {
    await command.getByLabel("Fast").check();
    await command.getByRole("button").click();
  }, { fast: true });
  await watched.page.keyboard.press("Escape");
  await until("the stop", async () => player.commands.at(-1)?.topic, (topic) => topic === `${WHEEL}/command/web-alice/halt`);
  await watched.end();
});

test("an instrument that appears, changes and goes does so on the page", async () => {
  const watched = await panel();
  await watched.presence(WHEEL, "live");
  const added = "clasp/added";
  await player.say(`${added}/meta`, meta("added", [property("height", { role: "headline", unit: "m" })], []));
  await player.say(`${added}/availability`, "online");
  await player.say(`${added}/state`, state({ height: 2.5 }));
  await watched.presence(added, "live");
  assert.equal(await watched.device(added).locator('[data-property="height"] dd').first().textContent(), "2.5m");
  await player.say(`${added}/meta`, meta("added", [property("depth", { role: "headline", unit: "m" })], [verb("dig")]));
  await player.say(`${added}/state`, state({ depth: 7 }));
  await watched.command(added, "dig").waitFor();
  for (const what of ["state", "availability", "meta"]) await player.say(`${added}/${what}`, "");
  await watched.device(added).waitFor({ state: "detached" });
  await watched.end();
});

test("several sites are told apart, and one of them or one device can be shown alone", async () => {
  const other = "north/wheel";
  await player.say(`${other}/meta`, meta("wheel", ARM, VERBS));
  await player.say(`${other}/availability`, "online");
  await player.say(`${other}/state`, state({ summary: "in the north" }));
  const watched = await panel();
  const { page } = watched;
  await watched.presence(other, "live");
  await page.getByRole("heading", { name: "north", exact: true }).waitFor();
  await page.getByRole("button", { name: "Stop all 2 Esc" }).waitFor();
  await page.getByRole("navigation").getByRole("link", { name: "north" }).click();
  await watched.device(WHEEL).waitFor({ state: "detached" });
  // What is not shown is not stopped by the key, and the button says so.
  await page.getByRole("button", { name: "Stop wheel Esc" }).waitFor();
  await page.getByRole("navigation").getByRole("link", { name: "All" }).click();
  await watched.device(WHEEL).getByRole("link", { name: "wheel" }).click();
  await watched.device(other).waitFor({ state: "detached" });
  assert.equal(await watched.device(WHEEL).getByText("Settings and commands").count(), 1);
  for (const what of ["state", "availability", "meta"]) await player.say(`${other}/${what}`, "");
  await watched.end();
});

test("a reply that does not come has a time limit, and one that comes late still counts", async () => {
  const slow = "clasp/slow";
  await player.say(`${slow}/meta`, meta("slow", [], [verb("think", [], { timeout_s: 1 })]));
  await player.say(`${slow}/availability`, "online");
  await player.say(`${slow}/state`, state());
  await player.answer(slow, () => [{ status: "accepted", code: null, deadline: new Date(Date.now() + 1000).toISOString() }]);
  const watched = await Watched.open(browser);
  await watched.page.goto(`${stand.url}#${slow}`);
  await watched.enter(ALICE);
  await watched.presence(slow, "live");
  const think = watched.command(slow, "think");
  await think.getByRole("button").click();
  assert.match(await watched.answer(think, "accepted"), /^Accepted; it ends within 1 s\.$/);
  assert.match(await watched.answer(think, "unknown"), /^It was accepted, but no verdict came in 6 s\. .*before you press again\.$/);
  const id = player.commands.at(-1)?.payload["id"];
  await player.say(`${slow}/reply/web-alice/${String(id)}`, { id, by: "web-alice", verb: "think", status: "succeeded", code: 0, message: "42" });
  assert.match(await watched.answer(think, "done"), /: 42$/);
  for (const what of ["state", "availability", "meta"]) await player.say(`${slow}/${what}`, "");
  await watched.end();
});
