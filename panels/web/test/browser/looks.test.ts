/** For every eye and hand: narrow screens, themes, the keyboard, reduced motion, axe. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { after, before, beforeEach, test } from "node:test";

import type { Browser, Page } from "playwright-core";

import { BROKER_IS_DOWN, launch, until, Watched } from "./chromium";
import { ALICE, BOB, Stand } from "./stand";

const CHILLER = "clasp/chiller";
const FOCUSER = "clasp/focuser";
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

let stand: Stand;
let browser: Browser;

before(async () => {
  stand = await Stand.start({ instruments: ["chiller", "focuser", "thermometer"] });
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await stand?.end();
});

beforeEach(() => stand.mend("chiller", "focuser", "thermometer"));

async function panel(options: Parameters<typeof Watched.open>[1] = {}, who = ALICE): Promise<Watched> {
  const watched = await Watched.open(browser, options);
  await watched.login(stand, who);
  for (const device of [CHILLER, FOCUSER, "clasp/thermometer"]) {
    await watched.presence(device, "live");
    await watched.device(device).getByRole("heading", { name: "Settings and commands" }).waitFor();
  }
  return watched;
}

async function themed(watched: Watched, theme: string): Promise<void> {
  await watched.page.getByRole("button", { name: theme, exact: true }).click();
}

async function audit(page: Page, what: string): Promise<void> {
  // What stands in the page as a script is forbidden by its own policy; the debugger may.
  await page.evaluate(AXE);
  const found = await page.evaluate(async () => {
    const { axe } = window as unknown as { axe: { run: (options: unknown) => Promise<{ violations: { id: string; nodes: { html: string; failureSummary: string }[] }[] }> } };
    const { violations } = await axe.run({ resultTypes: ["violations"] });
    return violations.map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map(({ html, failureSummary }) => `${html.slice(0, 160)} ${failureSummary}`).join(" | ")}`);
  });
  assert.deepEqual(found, [], what);
}

for (const theme of ["Day", "Dark", "Red night"]) {
  test(`axe finds nothing in any scene in ${theme}`, async () => {
    const watched = await Watched.open(browser, { allowed: BROKER_IS_DOWN });
    const { page } = watched;
    await page.goto(`${stand.url}?theme=${{ Day: "light", Dark: "dark", "Red night": "night" }[theme]}`);
    await audit(page, "login");
    await watched.enter({ ...ALICE, password: "wrong" });
    await page.getByText("does not know this name").waitFor();
    await audit(page, "wrong password");
    await watched.enter(BOB);
    for (const device of [CHILLER, FOCUSER]) await watched.presence(device, "live");
    await watched.device(FOCUSER).locator("canvas").first().waitFor();
    await audit(page, "devices");
    for (const summary of await page.locator("details summary").all()) await summary.click();
    await page.keyboard.press("Escape");
    await watched.answer(watched.device(FOCUSER).locator(".stopping"), "refused");
    await watched.command(CHILLER, "Set point").getByRole("button").click();
    await audit(page, "answers");
    await watched.command(FOCUSER, "Home").getByRole("button").click();
    await page.getByRole("dialog").waitFor();
    await audit(page, "question");
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "detached" });
    await stand.type("bridge focuser kill");
    await watched.presence(FOCUSER, "gone");
    await stand.type("sim chiller unplug");
    await watched.device(CHILLER).getByText("OFFLINE").first().waitFor();
    await audit(page, "dead");
    await stand.type("sim chiller plug");
    await stand.type("bridge focuser start");
    await page.context().setOffline(true);
    await watched.presence(CHILLER, "unconnected");
    await audit(page, "no connection");
    await page.context().setOffline(false);
    await page.setViewportSize({ width: 360, height: 740 });
    await stand.type("ready focuser");
    await watched.presence(FOCUSER, "live");
    await audit(page, "phone");
    await watched.end();
  });
}

for (const width of [320, 390, 768, 1024, 1920]) {
  test(`at ${width} pixels nothing runs over the edge, and the stop is in sight`, async () => {
    const watched = await panel({ viewport: { width, height: 800 } });
    const { page } = watched;
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    assert.equal(wide, 0);
    const cut = await page.locator("button, input, canvas, .label, .value").evaluateAll((all) => all.filter((element) => {
      const { left, right, width } = element.getBoundingClientRect();
      return width > 0 && (left < 0 || right > innerWidth + 0.5);
    }).map((element) => element.outerHTML.slice(0, 100)));
    assert.deepEqual(cut, []);
    await page.evaluate(() => window.scrollTo(0, document.body.scrollHeight));
    const box = await page.getByRole("button", { name: /Stop focuser Esc/ }).boundingBox();
    assert.ok(box && box.y >= 0 && box.height >= 40, JSON.stringify(box));
    if (width < 500) {
      const small = await page.locator("main button:visible").evaluateAll((all) => all.filter((button) => button.getBoundingClientRect().height < 40 && !button.closest(".legend")).map((button) => button.outerHTML));
      assert.deepEqual(small, [], "too small for a finger");
    }
    await watched.end();
  });
}

test("at night no pixel has any blue or green in it", async () => {
  const watched = await panel();
  const { page } = watched;
  await themed(watched, "Red night");
  await page.locator("details summary").first().click();
  await watched.command(CHILLER, "Set point").getByLabel("Water temperature").fill("12");
  await watched.command(FOCUSER, "Home").getByLabel("Even if it is homed").check();
  const clean = async (what: string): Promise<void> => {
    const shot = (await page.screenshot({ fullPage: true })).toString("base64");
    const reader = await browser.newPage();
    const found = await reader.evaluate(async (data) => {
      const bitmap = await createImageBitmap(await (await fetch(`data:image/png;base64,${data}`)).blob());
      const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
      const context = canvas.getContext("2d");
      context?.drawImage(bitmap, 0, 0);
      const pixels = context?.getImageData(0, 0, canvas.width, canvas.height).data ?? new Uint8ClampedArray();
      const most = [0, 0, 0];
      for (let at = 0; at < pixels.length; at += 4) for (const channel of [0, 1, 2]) most[channel] = Math.max(most[channel] ?? 0, pixels[at + channel] ?? 0);
      return most;
    }, shot);
    await reader.close();
    assert.ok((found[0] ?? 0) > 200, `${what}: nothing is seen`);
    assert.deepEqual(found.slice(1), [0, 0], what);
  };
  await clean("devices");
  await page.evaluate(() => document.querySelector("[data-property] dd bdi")?.append("\u{1f535}\u{1f7e2} \u26a0\ufe0f"));
  await clean("emoji");
  await watched.command(FOCUSER, "Home").getByRole("button").click();
  await page.getByRole("dialog").waitFor();
  await clean("question");
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: /log out/ }).click();
  await page.getByLabel("Name").waitFor();
  await clean("login");
  await watched.end();
});

test("by the keyboard alone: log in, look, command, answer a question, stop", async () => {
  const watched = await Watched.open(browser);
  const { page } = watched;
  await page.goto(stand.url);
  const { keyboard } = page;
  /** Goes on by Tab until the focus is on something that is called so. */
  const tabTo = async (name: RegExp): Promise<void> => {
    for (let times = 0; times < 150; times += 1) {
      await keyboard.press("Tab");
      const found = await page.evaluate(() => {
        const element = document.activeElement as HTMLElement | null;
        const outline = element ? getComputedStyle(element).outlineStyle : "";
        return { name: `${element?.getAttribute("aria-label") ?? ""} ${element?.textContent ?? ""} ${(element as HTMLInputElement | null)?.name ?? ""} ${element?.closest("[data-device]")?.getAttribute("data-device") ?? ""}`, outline };
      });
      if (!name.test(found.name)) continue;
      assert.notEqual(found.outline, "none", `the focus on ${found.name} is not seen`);
      return;
    }
    assert.fail(`${name} is not reached by Tab`);
  };
  await tabTo(/^ +name /);
  await keyboard.type(ALICE.name);
  await tabTo(/^ +password /);
  await keyboard.type(ALICE.password);
  await keyboard.press("Enter");
  await watched.presence(FOCUSER, "live");
  await watched.command(FOCUSER, "Home").waitFor();
  await tabTo(/^ *Manual.*chiller/);
  await keyboard.press("Enter");
  await watched.answer(watched.command(CHILLER, "Mode"), "done");
  await tabTo(/^ *Home… /);
  await keyboard.press("Enter");
  await page.getByRole("dialog").waitFor();
  await keyboard.press("Tab");
  await keyboard.press("Enter");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  const said = (): Promise<string> => watched.command(FOCUSER, "Home").locator(".answer").innerText();
  await until("it was sent", async () => [...watched.commands, await said()], (found) => found.some((topic) => topic.endsWith("/init")));
  await keyboard.press("Escape");
  await watched.answer(watched.device(FOCUSER).locator(".stopping"), "done");
  await watched.end();
});

test("a screen reader is told what becomes of a press, and of the devices", async () => {
  const watched = await panel();
  const { page } = watched;
  const polite = page.locator('p.sr[role="status"]').last();
  await watched.command(CHILLER, "Ping").getByRole("button").click();
  await until("the answer", () => polite.textContent(), (text) => /ping: Done after /i.test(text ?? ""));
  await watched.command(CHILLER, "Set point").getByRole("button").click();
  await until("the refusal", () => page.locator('p.sr[role="alert"]').textContent(), (text) => /Set point: .*nothing is given/.test(text ?? ""));
  await stand.type("sim chiller unplug");
  await watched.device(CHILLER).getByText("OFFLINE").first().waitFor();
  // Which one is told first depends on when the port was tried.
  const heard = async () => ({
    text: (await page.locator('p.sr[role="alert"]').textContent()) ?? "",
    attentions: (await stand.last("chiller"))["attention"] as { text: string }[],
  });
  await until("the attention", heard, ({ text, attentions }) => attentions.some((attention) => text.includes(`chiller: ${attention.text}`)));
  await stand.type("sim chiller plug");
  assert.ok((await page.getByRole("main").count()) === 1 && (await page.getByRole("banner").count()) >= 1);
  await watched.end();
});

test("who wants no motion gets none, and everybody else little", async () => {
  const watched = await panel({ reducedMotion: "reduce" });
  const moving = await watched.page.evaluate(() => [...document.querySelectorAll("*")].filter((element) => {
    const { transitionDuration, animationName } = getComputedStyle(element);
    return animationName !== "none" || transitionDuration.split(",").some((time) => Number.parseFloat(time) > 0);
  }).map((element) => element.outerHTML.slice(0, 80)));
  assert.deepEqual(moving, []);
  await watched.end();
});
