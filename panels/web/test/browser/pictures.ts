/**
 * Pictures of each scene in each theme, in target/pictures; those of the README in docs/pictures.
 * To look at, not to compare.
 */

import { copyFileSync, mkdirSync } from "node:fs";
import path from "node:path";

import type { Browser } from "playwright-core";

import { launch, until, Watched } from "./chromium";
import { giveHistory } from "./history";
import { ALICE, BOB, HERE, Stand } from "./stand";

const ROOT = path.resolve(HERE, "../..");
const OUT = path.join(ROOT, "target/pictures");
const README = path.join(ROOT, "docs/pictures");
const CHILLER = "clasp/chiller";
const FOCUSER = "clasp/focuser";
const THEMES = ["light", "dark", "night"] as const;
type Theme = (typeof THEMES)[number];

const DESKTOP = { width: 1440, height: 1000 };
const PHONE = { width: 390, height: 844 };
/** For the README: scene, theme, name. */
const CHOSEN = [
  ["devices", "light", "panel.png"],
  ["wall", "night", "panel-night.png"],
  ["phone", "dark", "panel-phone.png"],
] as const;

class Scenes {
  private readonly taken: string[] = [];

  constructor(
    private readonly stand: Stand,
    private readonly browser: Browser,
  ) {}

  async take(scene: string, size: typeof DESKTOP, prepare: (watched: Watched) => Promise<void>, who: { name: string; password: string } | null = ALICE, hash = "", live = "", after: () => Promise<void> = async () => undefined): Promise<void> {
    for (const theme of THEMES) {
      const watched = await Watched.open(this.browser, { viewport: size, allowed: /./ });
      await watched.page.goto(`${this.stand.url}?theme=${theme}${hash}`);
      if (who) {
        await watched.enter(who);
        for (const device of live ? [live] : hash ? [hash.slice(1)] : [CHILLER, FOCUSER]) await watched.presence(device, "live");
        await drawn(watched);
      }
      await prepare(watched);
      await this.shoot(watched, scene, theme);
      await watched.close();
      await after();
    }
  }

  private async shoot(watched: Watched, scene: string, theme: Theme): Promise<void> {
    // The newest frame, not the one before it.
    await watched.page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
    const file = path.join(OUT, `${scene}-${theme}.png`);
    await watched.page.screenshot({ path: file });
    this.taken.push(file);
    for (const [of, wanted, name] of CHOSEN) if (of === scene && wanted === theme) copyFileSync(file, path.join(README, name));
    console.log(path.relative(ROOT, file));
  }
}

/** The charts have their day, which may come some seconds after the state. */
const drawn = (watched: Watched): Promise<unknown> =>
  until("the charts", () => watched.page.locator(".plots").evaluateAll((all) => all.map((plots) => plots.dataset["points"])), (points) => points.every((count) => Number(count) > 200));

const wave = (bin: number, period: number): number => Math.sin((bin / period) * 2 * Math.PI);

/** A night's water, air and power, as a chiller's may be. */
function past(key: string, bin: number): number | null {
  const cooling = bin > 170;
  const air = 9.6 - 2.4 * wave(bin - 216, 288);
  switch (key) {
    case "water_temp":
      return cooling ? 11 + 3 * Math.exp(-(bin - 170) / 12) + 0.08 * wave(bin, 7) : 14 + 0.4 * wave(bin - 60, 288);
    case "setpoint_temp":
      return 11;
    case "ambient_temp":
      return air;
    case "dome_temp":
      return air - 1.5 + 0.3 * wave(bin, 19);
    case "tec_power":
      return cooling ? 34 + 5 * wave(bin, 9) : 0;
    default:
      return cooling ? 2.6 + 0.05 * wave(bin, 5) : 0;
  }
}

async function main(): Promise<void> {
  for (const folder of [OUT, README]) mkdirSync(folder, { recursive: true });
  const stand = await Stand.start({
    instruments: ["chiller", "focuser"],
    settings: ["focuser:speed_mm_sec=0.5", 'chiller:power.channels=["cmos","swir"]'],
  });
  const power = (): Promise<unknown> => stand.type(`publish powerd clasp/power/state ${JSON.stringify({ date: new Date().toISOString(), channels: { cmos: true, swir: false } })}`);
  await power();
  const powered = setInterval(() => void power().catch(() => undefined), 15_000);
  const browser = await launch();
  const scenes = new Scenes(stand, browser);
  try {
    for (const kind of ["chiller", "focuser"]) await until("a history", () => stand.last(kind, "history").catch(() => null), (found) => found !== null);
    await giveHistory(stand, "chiller", past, (bin) => (bin > 170 ? "cooling" : "idle"));
    await giveHistory(stand, "focuser", (key, bin) => (key === "current_mm" ? 3.1 + 0.15 * wave(bin, 288) + Math.floor(bin / 40) * 0.02 : 640), () => "idle");

    const preparing = await Watched.open(browser);
    await preparing.login(stand, ALICE);
    await preparing.presence(CHILLER, "live");
    const press = async (device: string, verb: string, fill: (command: ReturnType<Watched["command"]>) => Promise<void>, ask = ""): Promise<void> => {
      await fill(preparing.command(device, verb));
      if (ask) await preparing.page.getByRole("dialog").getByRole("button", { name: ask }).click();
      await preparing.answer(preparing.command(device, verb), "done", 60_000);
    };
    await press(CHILLER, "Mode", (command) => command.getByRole("button", { name: "Manual" }).click());
    await press(CHILLER, "Set point", async (command) => {
      await command.getByRole("textbox").fill("11");
      await command.getByRole("button").click();
    });
    await press(CHILLER, "Mode", (command) => command.getByRole("button", { name: "Automatic" }).click());
    await until("it cools", () => stand.last("chiller"), (state) => state["status"] === "cooling", 60_000);
    await press(FOCUSER, "Home", async (command) => {
      await command.getByRole("checkbox").check();
      await command.getByRole("button").click();
    }, "Home");
    await press(FOCUSER, "Move to", async (command) => {
      await command.getByRole("textbox").fill("3.2");
      await command.getByRole("button").click();
    });
    await preparing.close();

    await scenes.take("login", DESKTOP, async () => undefined, null);
    const move = async (watched: Watched): Promise<void> => {
      const command = watched.command(FOCUSER, "Move to");
      const state = await stand.last("focuser");
      await command.getByRole("textbox").fill((state["current_mm"] as number) > 2.5 ? "0.4" : "5.6");
      await command.getByRole("button").click();
      await until("half the way", () => stand.last("focuser"), (found) => (found["progress"] as number) > 0.45);
    };
    const settle = (): Promise<unknown> => until("standstill", () => stand.last("focuser"), (found) => found["moving"] === false, 60_000);
    await scenes.take("devices", DESKTOP, async (watched) => {
      await settle();
      await move(watched);
    });
    await settle();
    await scenes.take("whole", { width: 1440, height: 2000 }, async (watched) => {
      for (const summary of await watched.page.locator("details summary").all()) await summary.click();
    });
    await scenes.take("wall", { width: 1280, height: 720 }, async () => undefined, ALICE, `#${CHILLER}`);
    await scenes.take("phone", PHONE, async () => undefined, ALICE, `#${FOCUSER}`);
    await scenes.take("question", DESKTOP, (watched) => watched.command(CHILLER, "Run").getByRole("button", { name: "Off" }).click());
    await scenes.take("refused", DESKTOP, async (watched) => {
      await watched.command(CHILLER, "Mode").getByRole("button", { name: "Automatic" }).click();
      await watched.answer(watched.command(CHILLER, "Mode"), "refused");
      await watched.page.keyboard.press("Escape");
      await watched.answer(watched.device(FOCUSER).locator(".stopping"), "refused");
    }, BOB);
    await stand.type("sim chiller alarm A2:1");
    await stand.type("bridge focuser kill");
    await until("the alarm", () => stand.last("chiller"), (found) => (found["attention"] as unknown[]).length > 0);
    await scenes.take("alarm", DESKTOP, (watched) => watched.presence(FOCUSER, "gone"), ALICE, "", CHILLER);
    await stand.type("sim chiller clear");
    await stand.mend("chiller", "focuser");
    await scenes.take("no-connection", DESKTOP, async (watched) => {
      await watched.presence(FOCUSER, "live");
      await stand.type("broker stop");
      await watched.presence(CHILLER, "unconnected");
      await watched.page.getByText("No connection to the broker for 3 s").waitFor();
    }, ALICE, "", CHILLER, () => stand.mend("chiller", "focuser"));
  } finally {
    clearInterval(powered);
    await browser.close();
    await stand.end();
  }
}

await main();
