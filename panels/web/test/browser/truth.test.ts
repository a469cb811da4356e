/** Nothing looks fresh that is not: what dies, and what the page says then. */

import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";

import type { Browser } from "playwright-core";

import { BROKER_IS_DOWN, launch, until, Watched } from "./chromium";
import { ALICE, Stand } from "./stand";

const CHILLER = "clasp/chiller";
const FOCUSER = "clasp/focuser";

let stand: Stand;
let browser: Browser;

before(async () => {
  stand = await Stand.start({ instruments: ["chiller", "focuser"], settings: ["all:query_delay=0.5", "focuser:speed_mm_sec=1"] });
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await stand?.end();
});

beforeEach(() => stand.mend("chiller", "focuser"));

async function panel(allowed?: RegExp): Promise<Watched> {
  const watched = await Watched.open(browser, allowed ? { allowed } : {});
  await watched.login(stand, ALICE);
  for (const device of [CHILLER, FOCUSER]) {
    await watched.presence(device, "live");
    // Its meta may come 5 s later than its state.
    await watched.device(device).getByRole("heading", { name: "Settings and commands" }).waitFor();
  }
  return watched;
}

test("values appear with units and ages, and go on", async () => {
  const watched = await panel();
  const chiller = watched.device(CHILLER);
  await chiller.getByText("ThermoTek T257P").waitFor();
  const water = chiller.locator('.large[data-property="water_temp"] dd');
  assert.match((await water.textContent()) ?? "", /^-?\d+\.\d°C$/);
  assert.match((await chiller.locator("[data-age]").first().textContent()) ?? "", /^read \d s ago$/);
  assert.equal(await chiller.locator(".value.old").count(), 0);
  for (const kind of ["chiller", "focuser"]) {
    const { label, summary } = { label: (await stand.last(kind))["status_label"], summary: (await stand.last(kind))["summary"] };
    await watched.device(`clasp/${kind}`).locator(".status .label", { hasText: label as string }).waitFor();
    await watched.device(`clasp/${kind}`).locator(".status .summary", { hasText: summary as string }).waitFor();
  }
  await watched.end();
});

test("a bridge that dies is told within seconds, and its values are struck out", async () => {
  const watched = await panel();
  await stand.type("bridge focuser kill");
  await watched.presence(FOCUSER, "gone", 5000);
  const focuser = watched.device(FOCUSER);
  assert.match((await focuser.locator(".status").textContent()) ?? "", /BRIDGE OFFLINE.*ago it was /);
  assert.equal(await focuser.locator(".value.large:not(.old)").count(), 0);
  await watched.page.getByRole("alert").filter({ hasText: "focuser: its bridge is offline" }).waitFor();
  await until("the title", () => watched.page.title(), (title) => title === "1 to look at - obsbus");
  // A stop is tried all the same, and says that nobody listens.
  await watched.page.keyboard.press("Escape");
  assert.match(await watched.answer(focuser.locator(".stopping"), "refused"), /Nobody listens/);
  await stand.type("bridge focuser start");
  await watched.presence(FOCUSER, "live");
  await watched.end();
});

test("a bridge that stands still is told by the page's own clock", async () => {
  const watched = await panel();
  await stand.type("bridge focuser freeze");
  // Its state may be 5 s old; the broker gives its connection 15 s and more.
  await watched.presence(FOCUSER, "stale", 9000);
  const focuser = watched.device(FOCUSER);
  await focuser.getByText("STATE IS OLD").waitFor();
  await until("the age goes on", () => focuser.locator("[data-age]").first().textContent(), (age) => /last read [7-9] s ago/.test(age ?? ""));
  const ping = watched.command(FOCUSER, "Ping");
  await ping.getByRole("button").click();
  assert.match(await watched.answer(ping, "unknown", 15_000), /^No answer in 11 s\. Whether it was carried out is not known/);
  await watched.end();
});

test("a device that is unplugged is offline, has no readings, and an attention says why", async () => {
  const watched = await panel();
  await stand.type("sim chiller unplug");
  const chiller = watched.device(CHILLER);
  await chiller.locator(".status .label", { hasText: "OFFLINE" }).waitFor();
  assert.equal(await chiller.locator('.large[data-property="water_temp"] dd').textContent(), "–");
  const [attention] = (await stand.last("chiller"))["attention"] as { text: string }[];
  await chiller.locator(".attentions", { hasText: attention?.text ?? "" }).waitFor();
  await stand.type("sim chiller plug");
  await chiller.locator(".status .label", { hasText: "IDLE" }).waitFor();
  await until("the value", () => chiller.locator('.large[data-property="water_temp"] dd').textContent(), (value) => /\d/.test(value ?? ""));
  await watched.end();
});

test("the broker goes and comes: the page says so, sends nothing meanwhile, and recovers", async () => {
  const watched = await panel(BROKER_IS_DOWN);
  const { page } = watched;
  await stand.type("broker stop");
  await watched.presence(CHILLER, "unconnected", 3000);
  await page.getByText(/^No connection to the broker for \d+ s\. What is shown is old\./).waitFor();
  await until("all is struck out", () => watched.device(CHILLER).locator("[data-property]:not(.old)").count(), (count) => count === 0);
  await page.getByRole("alert").filter({ hasText: "No connection to the broker" }).waitFor();
  await until("the title", () => page.title(), (title) => title === "No connection - obsbus");

  const mode = watched.command(CHILLER, "Mode");
  await mode.getByRole("button", { name: "Manual" }).click();
  assert.match(await watched.answer(mode, "unsent"), /^Not sent: this page has no connection to the broker\. Nothing is kept for later/);
  await page.keyboard.press("Escape");
  await until("the stop's answer", () => page.locator(".bar").innerText(), (text) => text.includes("focuser: Not sent"));

  await stand.type("broker start");
  await stand.type("ready chiller");
  await stand.type("ready focuser");
  await watched.presence(CHILLER, "live");
  await watched.presence(FOCUSER, "live");
  assert.deepEqual(watched.commands, [], "what was pressed without a connection was sent later");
  await watched.end();
});

test("a broker that stands still is told as a lost connection", async () => {
  const watched = await panel(BROKER_IS_DOWN);
  await stand.type("broker freeze");
  await watched.presence(CHILLER, "unconnected", 15_000);
  await stand.type("broker thaw");
  await stand.type("ready chiller");
  await watched.presence(CHILLER, "live");
  await watched.end();
});

test("a network that is gone is told at once", async () => {
  const watched = await panel(BROKER_IS_DOWN);
  await watched.page.context().setOffline(true);
  await watched.presence(CHILLER, "unconnected", 3000);
  await watched.page.getByText("this computer has lost its network").waitFor();
  await watched.page.context().setOffline(false);
  await watched.presence(CHILLER, "live");
  await watched.end();
});

test("the verdict on a command is found although the connection was lost meanwhile", async () => {
  const watched = await panel(BROKER_IS_DOWN);
  const home = watched.command(FOCUSER, "Home");
  await home.getByLabel("Even if it is homed").check();
  await home.getByRole("button", { name: "Home" }).click();
  await watched.page.getByRole("dialog").getByRole("button", { name: "Home" }).click();
  await watched.answer(home, "done", 60_000);
  const move = watched.command(FOCUSER, "Move to");
  await move.getByLabel("Position").fill("3");
  await move.getByRole("button").click();
  await watched.answer(move, "accepted");
  await watched.page.context().setOffline(true);
  await watched.presence(FOCUSER, "unconnected");
  await until("the move ended", () => stand.last("focuser"), (state) => state["moving"] === false && state["current_mm"] === 3);
  await watched.page.context().setOffline(false);
  assert.match(await watched.answer(move, "done"), /^The device's (events say: .*succeeded|state says: succeeded)/);
  assert.equal(watched.commands.length, 2);
  await watched.end();
});

for (const [what, seconds, words] of [
  ["behind", -40, /clock is (39|40|41) s behind the bridges'/],
  ["ahead", 40, /clock is (39|40|41) s ahead of the bridges'/],
] as const) {
  test(`a computer whose clock is ${what} shows true ages, and its commands are taken`, async () => {
    const watched = await Watched.open(browser);
    await watched.page.addInitScript(`{ const now = Date.now.bind(Date); Date.now = () => now() + ${seconds * 1000}; }`);
    await watched.login(stand, ALICE);
    await watched.presence(CHILLER, "live");
    await watched.page.getByText(words).waitFor();
    assert.match((await watched.device(CHILLER).locator("[data-age]").first().textContent()) ?? "", /^read [0-2] s ago$/);
    const ping = watched.command(CHILLER, "Ping");
    await ping.getByRole("button").click();
    await watched.answer(ping, "done");
    const move = watched.command(FOCUSER, "Move to");
    await move.getByLabel("Position").fill("3.1");
    await move.getByRole("button").click();
    await watched.answer(move, "done");
    await watched.end();
  });
}
