/** The chart: a day at once from the stored history, live afterwards, zoom, cursor, export. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";

import type { Browser, Locator } from "playwright-core";

import { launch, until, Watched } from "./chromium";
import { giveHistory } from "./history";
import { ALICE, Stand } from "./stand";

const CHILLER = "clasp/chiller";

let stand: Stand;
let browser: Browser;

before(async () => {
  stand = await Stand.start({ instruments: ["chiller"] });
  await until("a history", () => stand.last("chiller", "history").catch(() => null), (found) => found !== null);
  // Water falls from 20 to 15 degrees over the day; nothing is known of two hours.
  const water = (bin: number): number | null => (bin >= 100 && bin < 124 ? null : 20 - (5 * bin) / 287);
  await giveHistory(stand, "chiller", (key, bin) => (key === "water_temp" ? water(bin) : 10), (bin) => (bin < 144 ? "idle" : "cooling"));
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await stand?.end();
});

async function chart(): Promise<{ watched: Watched; charts: Locator }> {
  // The reading back is this test's own.
  const watched = await Watched.open(browser, { allowed: /^Canvas2D: Multiple readback operations/ });
  await watched.login(stand, ALICE);
  const charts = watched.device(CHILLER).getByRole("region", { name: "chiller: chart" });
  await charts.locator("canvas").first().waitFor();
  return { watched, charts };
}

/** How many pixels of the first plot have a colour of their own: the lines, and the band of statuses. */
const drawn = (charts: Locator): Promise<number> =>
  charts.locator("canvas").first().evaluate((canvas: HTMLCanvasElement) => {
    const pixels = canvas.getContext("2d")?.getImageData(0, 0, canvas.width, canvas.height).data ?? new Uint8ClampedArray();
    let found = 0;
    for (let at = 0; at < pixels.length; at += 4) {
      const [red = 0, green = 0, blue = 0, alpha = 0] = pixels.subarray(at, at + 4);
      if (alpha > 100 && Math.max(red, green, blue) - Math.min(red, green, blue) > 60) found += 1;
    }
    return found;
  });

/** The values beside the names, as numbers. */
async function legend(charts: Locator): Promise<Record<string, string>> {
  const found = await charts.locator(".legend button").allTextContents();
  return Object.fromEntries(found.map((text) => [text.trim().split(/ (?=[-–\d])/)[0] ?? "", text.trim().split(/ (?=[-–\d])/)[1] ?? ""]));
}

test("a day is there at once, and the newest values stand in the legend", async () => {
  const { watched, charts } = await chart();
  await until("lines", () => drawn(charts), (count) => count > 500, 5000);
  assert.equal(await charts.locator(".plot").count(), 3, "one plot for each unit");
  const { water_temp: now } = await stand.last("chiller");
  await until("the newest value", () => legend(charts), (found) => found["Water"] === `${(now as number).toFixed(1)} °C`);
  await watched.end();
});

test("the cursor reads a value of the past, by mouse and by keyboard", async () => {
  const { watched, charts } = await chart();
  await until("lines", () => drawn(charts), (count) => count > 500);
  const box = await charts.locator(".u-over").first().boundingBox();
  assert.ok(box);
  await watched.page.mouse.move(box.x + box.width * 0.25, box.y + 30);
  // A quarter of the day after 20 degrees, with 5 to fall.
  await until("the value", () => legend(charts), (found) => Math.abs(Number.parseFloat(found["Water"] ?? "") - 18.75) < 0.2);
  assert.match((await charts.locator("[data-when]").textContent()) ?? "", /^20\d\d-\d\d-\d\d \d\d:\d\d UTC$/);
  await watched.page.mouse.move(box.x + box.width * 0.39, box.y + 30);
  await until("nothing is known", () => legend(charts), (found) => found["Water"] === "–");

  await watched.page.mouse.move(5, 5);
  await charts.locator(".plots").focus();
  for (let times = 0; times < 10; times += 1) await watched.page.keyboard.press("ArrowLeft");
  await until("it is said", () => charts.locator("[data-said]").textContent(), (text) => /UTC: Water 1[56]\.\d °C, /.test(text ?? ""));
  await watched.end();
});

test("a span is chosen, dragged or typed, and holds while values come", async () => {
  const { watched, charts } = await chart();
  const { page } = watched;
  await until("lines", () => drawn(charts), (count) => count > 500);
  const box = await charts.locator(".u-over").first().boundingBox();
  assert.ok(box);
  await page.mouse.move(box.x + box.width * 0.1, box.y + 30);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.2, box.y + 30, { steps: 4 });
  await page.mouse.up();
  await charts.getByText("zoomed").waitFor();
  await page.mouse.move(box.x + 3, box.y + 30);
  const [left, seq] = [(await charts.locator("[data-when]").textContent()) ?? "", (await stand.last("chiller"))["seq"] as number];
  const start = Date.parse(left.replace(" UTC", "Z").replace(" ", "T"));
  const hours = (Date.now() - start) / 3_600_000;
  assert.ok(hours > 20.5 && hours < 22.5, left);
  await until("states come", () => stand.last("chiller"), (state) => (state["seq"] as number) > seq + 2);
  await page.mouse.move(box.x + 4, box.y + 31);
  assert.equal(await charts.locator("[data-when]").textContent(), left, "the zoom did not hold");
  await charts.getByRole("button", { name: "24 h" }).click();
  await charts.getByText("zoomed").waitFor({ state: "detached" });
  await charts.getByRole("button", { name: "6 h" }).click();
  assert.equal(await charts.getByRole("button", { name: "6 h" }).getAttribute("aria-pressed"), "true");
  await charts.locator(".plots").focus();
  await page.keyboard.press("+");
  await charts.getByText("zoomed").waitFor();
  await watched.end();
});

test("a line can be left out", async () => {
  const { watched, charts } = await chart();
  await until("lines", () => drawn(charts), (count) => count > 500);
  const before = await drawn(charts);
  await charts.getByRole("button", { name: /^Water/ }).click();
  await until("fewer pixels", () => drawn(charts), (count) => count < before * 0.9);
  await watched.end();
});

test("the day is saved as CSV, with what came live behind it", async () => {
  const { watched, charts } = await chart();
  await until("live values", () => stand.last("chiller"), (state) => (state["seq"] as number) > 20);
  const [download] = await Promise.all([watched.page.waitForEvent("download"), charts.getByRole("button", { name: "Save as CSV" }).click()]);
  assert.match(download.suggestedFilename(), /^clasp-chiller-20\d\d-\d\d-\d\dT\d{4}\.csv$/);
  const lines = readFileSync(await download.path(), "utf8").trim().split("\r\n");
  assert.match(lines[0] ?? "", /^\ufeff?"time_utc","water_temp \[degC\]","setpoint_temp \[degC\]",/);
  assert.ok(lines.length > 285, `${lines.length} lines`);
  const rows = lines.slice(1).map((line) => line.split(","));
  const times = rows.map(([time]) => Date.parse(time ?? ""));
  assert.deepEqual(times, [...times].sort((one, other) => one - other));
  assert.equal(rows[105]?.[1], "", "what is not known is empty");
  // The first bin or, where five minutes ended meanwhile, the second.
  assert.match(rows[0]?.[1] ?? "", /^(20|19\.983)$/);
  await watched.end();
});
