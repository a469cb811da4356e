/** How soon values stand on the page: from its load, with a kept login, to the first frame with them. */


import { launch } from "./chromium";
import { ALICE, Stand } from "./stand";

const TARGET = 300;
const TIMES = 7;

async function once(page: import("playwright-core").Page, url: string): Promise<number> {
  await page.goto(url, { waitUntil: "commit" });
  const handle = await page.waitForFunction(() => (performance.getEntriesByName("values")[0]?.startTime ?? 0) || null);
  const loaded = await page.evaluate(() => {
    const [navigation] = performance.getEntriesByType("navigation") as PerformanceNavigationTiming[];
    return navigation?.loadEventEnd || navigation?.domContentLoadedEventEnd || 0;
  });
  return Number(await handle.jsonValue()) - loaded;
}

const stand = await Stand.start({ instruments: ["chiller", "focuser"] });
const browser = await launch();
try {
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(stand.url);
  // As it is kept after "Keep the password": without a hand between load and values.
  await page.evaluate(({ name, password, broker }) => {
    localStorage.setItem("obsbus-name", name);
    localStorage.setItem("obsbus-login", JSON.stringify({ broker, password }));
  }, { ...ALICE, broker: `${stand.url.replace("http", "ws")}mqtt` });
  // A frame after which the first value is on the screen.
  await page.addInitScript(() => {
    const look = (): void => {
      const value = document.querySelector('[data-presence="live"] ~ * [data-property] dd');
      if (value && /\d/.test(value.textContent ?? "")) performance.mark("values");
      else requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
  });
  const found: number[] = [];
  for (let time = 0; time < TIMES; time += 1) found.push(await once(page, stand.url));
  found.sort((one, other) => one - other);
  const middle = found[Math.floor(TIMES / 2)] ?? NaN;
  console.log(`web panel: first values ${middle.toFixed(0)} ms after the page is loaded (${TIMES} loads, ${found[0]?.toFixed(0)} to ${found.at(-1)?.toFixed(0)}; target ${TARGET} ms)`);
  process.exitCode = middle <= TARGET ? 0 : 1;
} finally {
  await browser.close();
  await stand.end();
}
