/** Every kind of control, against real bridges. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import type { Browser } from "playwright-core";

import { launch, until, Watched } from "./chromium";
import { ALICE, BOB, Stand } from "./stand";

const CHILLER = "clasp/chiller";
const FOCUSER = "clasp/focuser";
const THERMOMETER = "clasp/thermometer";

let stand: Stand;
let browser: Browser;

before(async () => {
  stand = await Stand.start({
    instruments: ["chiller", "focuser", "thermometer"],
    settings: ["focuser:speed_mm_sec=1"],
  });
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await stand?.end();
});

async function panel(who = ALICE, devices = [CHILLER, FOCUSER, THERMOMETER]): Promise<Watched> {
  const watched = await Watched.open(browser);
  await watched.login(stand, who);
  for (const device of devices) {
    await watched.presence(device, "live");
    await watched.device(device).getByRole("heading", { name: "Settings and commands" }).waitFor();
  }
  return watched;
}

async function homed(watched: Watched): Promise<void> {
  const state = await stand.last("focuser");
  if (state["homed"] === true) return;
  await watched.command(FOCUSER, "Home").getByRole("button", { name: "Home" }).click();
  await watched.page.getByRole("dialog").getByRole("button", { name: "Home" }).click();
  await watched.answer(watched.command(FOCUSER, "Home"), "done", 60_000);
}

test("a choice is sent by a press, and the choice that holds is marked", async () => {
  const watched = await panel();
  const mode = watched.command(CHILLER, "Mode");
  await mode.getByRole("button", { name: "Manual" }).click();
  assert.match(await watched.answer(mode, "done"), /^Done after /);
  await until("manual is marked", () => mode.getByRole("button", { name: "Manual" }).getAttribute("aria-pressed"), (found) => found === "true");
  assert.equal((await stand.last("chiller"))["mode"], "manual");
  assert.match((await watched.device(CHILLER).getByRole("region", { name: "last command" }).textContent()) ?? "", /web-alice: Mode, succeeded/);
  await watched.device(CHILLER).locator(".events").getByText("web-alice").first().waitFor();
  await watched.end();
});

test("a number is sent with a dot or a comma, and what it may be is said", async () => {
  const watched = await panel();
  const mode = watched.command(CHILLER, "Mode");
  await mode.getByRole("button", { name: "Manual" }).click();
  await watched.answer(mode, "done");
  const setpoint = watched.command(CHILLER, "Set point");
  await setpoint.getByText("It may be 5 to 30 °C. In steps of 0.1.").waitFor();
  await setpoint.getByLabel("Water temperature").fill("14,5");
  await setpoint.getByRole("button").click();
  await watched.answer(setpoint, "done", 30_000);
  assert.equal((await stand.last("chiller"))["setpoint_temp"], 14.5);
  await watched.end();
});

test("what cannot be is refused before it is sent, with what would be right", async () => {
  const watched = await panel();
  const setpoint = watched.command(CHILLER, "Set point");
  for (const [typed, said] of [
    ["", /nothing is given\. It may be 5 to 30 °C/],
    ["warm", /this is not a number\. It may be 5 to 30 °C/],
    ["1e1", /this is not a number/],
    ["31", /31 is outside the limits\. It may be 5 to 30 °C/],
  ] as const) {
    await setpoint.getByLabel("Water temperature").fill(typed);
    await setpoint.getByLabel("Water temperature").press("Enter");
    await until("the answer", () => setpoint.locator(".answer").textContent(), (found) => said.test(found ?? ""));
    assert.equal(await setpoint.getByLabel("Water temperature").getAttribute("aria-invalid"), "true");
  }
  assert.deepEqual(watched.commands, []);
  await watched.end();
});

test("several arguments are sent together, and one that is optional may be left out", async () => {
  const watched = await panel();
  const heater = watched.command(THERMOMETER, "Heater");
  await heater.getByRole("button", { name: "Heater" }).click();
  assert.match(await watched.answer(heater, "unsent"), /nothing is given\. It may be On, Off\./);
  await heater.getByRole("radio", { name: "On" }).check();
  await heater.getByLabel("For (optional)").fill("5");
  await heater.getByRole("button", { name: "Heater" }).click();
  await watched.answer(heater, "done");
  const state = await stand.last("thermometer");
  assert.equal(state["heater_on"], true);
  assert.equal(typeof state["heater_until"], "string");
  await heater.getByRole("radio", { name: "Off" }).check();
  await heater.getByLabel("For (optional)").fill("");
  await heater.getByRole("button", { name: "Heater" }).click();
  await until("the heater is off", () => stand.last("thermometer"), (found) => found["heater_on"] === false);
  await watched.end();
});

test("what is dangerous is asked first, and sent by the second press alone", async () => {
  const watched = await panel();
  const { page } = watched;
  const home = watched.command(FOCUSER, "Home");
  const dialog = page.getByRole("dialog");
  await home.getByRole("button", { name: "Home" }).click();
  await dialog.getByText("Drive the focuser to its inner end?").waitFor();
  assert.equal(await dialog.getByRole("button", { name: "Cancel" }).evaluate((button) => button === document.activeElement), true);
  await page.keyboard.press("Enter");
  await dialog.waitFor({ state: "detached" });
  await home.getByRole("button", { name: "Home" }).click();
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "detached" });
  assert.deepEqual(watched.commands, []);
  await home.getByLabel("Even if it is homed").check();
  await home.getByRole("button", { name: "Home" }).click();
  await dialog.getByRole("button", { name: "Home" }).click();
  await watched.answer(home, "accepted").catch(() => watched.answer(home, "done", 60_000));
  await watched.answer(home, "done", 60_000);
  assert.deepEqual(watched.commands, [`${FOCUSER}/command/web-alice/init`]);
  assert.equal((await stand.last("focuser"))["homed"], true);
  await watched.end();
});

test("a motion is shown while it goes on, and one key stops it", async () => {
  const watched = await panel();
  const { page } = watched;
  await homed(watched);
  const move = watched.command(FOCUSER, "Move to");
  await move.getByLabel("Position").fill("0");
  await move.getByRole("button").click();
  await watched.answer(move, "done", 60_000);
  await move.getByLabel("Position").fill("6");
  await move.getByRole("button").click();
  await watched.device(FOCUSER).getByRole("progressbar").waitFor();
  assert.match((await watched.device(FOCUSER).getByRole("img").first().getAttribute("aria-label")) ?? "", /^Position: .* mm, target 6\.000 mm, limits 0 to 6 mm$/);
  // Wherever somebody is: in a field here.
  await move.getByLabel("Position").focus();
  await page.keyboard.press("Escape");
  assert.match(await watched.answer(move, "failed"), /^Ended by another command: /);
  await watched.answer(watched.device(FOCUSER).locator(".stopping"), "done");
  const state = await until("standstill", () => stand.last("focuser"), (found) => found["moving"] === false);
  assert.ok((state["current_mm"] as number) < 6, JSON.stringify(state));
  await watched.end();
});

test("a stop is there for devices that have one alone, and always in sight", async () => {
  const watched = await panel();
  const { page } = watched;
  assert.equal(await page.getByRole("button", { name: /^stop /i }).count(), 2, "one on top and one at the focuser");
  assert.equal(await watched.device(CHILLER).locator(".stop").count(), 0);
  await page.evaluate(() => window.scrollTo(0, document.body.scrollHeight));
  const stop = page.getByRole("button", { name: "Stop focuser Esc" });
  const box = await stop.boundingBox();
  assert.ok(box && box.y >= 0 && box.y < 200, JSON.stringify(box));
  await stop.click();
  await watched.answer(watched.device(FOCUSER).locator(".stopping"), "done");
  await watched.end();
});

test("who may not command is told so, where it was pressed", async () => {
  const watched = await panel(BOB);
  const mode = watched.command(CHILLER, "Mode");
  await mode.getByRole("button", { name: "Automatic" }).click();
  assert.match(await watched.answer(mode, "refused"), /^Refused: .*\(not authorised, code 3\)$/);
  await watched.page.keyboard.press("Escape");
  assert.match(await watched.answer(watched.device(FOCUSER).locator(".stopping"), "refused"), /not authorised/);
  // A refused stop is too important to be seen at the device alone.
  await watched.page.locator(".bar .answer.bad", { hasText: "focuser: Refused" }).waitFor();
  await watched.end();
});

test("what the device itself refuses is told in its own words", async () => {
  const watched = await panel();
  const mode = watched.command(CHILLER, "Mode");
  await mode.getByRole("button", { name: "Automatic" }).click();
  await watched.answer(mode, "done");
  const run = watched.command(CHILLER, "Run");
  await run.getByRole("button", { name: "On" }).click();
  await watched.page.getByRole("dialog").getByRole("button", { name: "On" }).click();
  assert.match(await watched.answer(run, "refused"), /mode is automatic, code 10/);
  await watched.end();
});

test("a double press, a key that is held, the wheel, a change and the focus send nothing more", async () => {
  const watched = await panel();
  const { page } = watched;
  const ping = watched.command(CHILLER, "Ping").getByRole("button", { name: "Ping" });
  await ping.dblclick();
  await watched.answer(watched.command(CHILLER, "Ping"), "done");
  assert.equal(watched.commands.length, 1);

  const mode = watched.command(CHILLER, "Mode").getByRole("button", { name: "Automatic" });
  await mode.dblclick();
  await watched.answer(watched.command(CHILLER, "Mode"), "done");
  assert.equal(watched.commands.length, 2);
  await mode.focus();
  for (let times = 0; times < 5; times += 1) await page.keyboard.down("Enter");
  await page.keyboard.up("Enter");
  await until("one more", async () => watched.commands.length, (count) => count >= 3);

  const field = watched.command(CHILLER, "Set point").getByLabel("Water temperature");
  await field.fill("12");
  await field.hover();
  await page.mouse.wheel(0, 300);
  await page.keyboard.press("ArrowUp");
  assert.equal(await field.inputValue(), "12");
  await watched.command(THERMOMETER, "Heater").getByRole("radio", { name: "On" }).check();
  await watched.command(FOCUSER, "Home").getByLabel("Even if it is homed").check();
  for (let times = 0; times < 30; times += 1) await page.keyboard.press("Tab");
  const { seq } = await stand.last("chiller");
  await until("a state came", () => stand.last("chiller"), (state) => (state["seq"] as number) > (seq as number) + 1);
  assert.equal(watched.commands.length, 3, watched.commands.join("\n"));
  assert.equal(await field.inputValue(), "12", "a state that comes leaves a field alone");
  await watched.end();
});
