/** Who gets in, what is stored, and what is said of a certificate that the browser does not trust. */

import assert from "node:assert/strict";
import { createServer } from "node:net";
import path from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";

import type { Browser } from "playwright-core";

import { BROKER_IS_DOWN, launch, until, Watched } from "./chromium";
import { ALICE, PAGE, Stand } from "./stand";

const DEVICE = "clasp/thermometer";

let stand: Stand;
let browser: Browser;
let tlsPort: number;

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address ? address.port : 0));
    });
  });

before(async () => {
  tlsPort = await freePort();
  stand = await Stand.start({ tlsPort });
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await stand?.end();
});

const stored = (watched: Watched): Promise<Record<string, string>> => watched.page.evaluate(() => ({ ...localStorage }));

test("a wrong password is told, and nothing is tried again with it", async () => {
  const watched = await Watched.open(browser);
  await watched.login(stand, { ...ALICE, password: "wrong" });
  const alert = watched.page.getByRole("alert");
  await until("the refusal", () => alert.textContent(), (text) => text === "The broker does not know this name with this password.");
  await watched.enter({ name: "web-nobody", password: "x" });
  await until("the refusal", () => alert.textContent(), (text) => text === "The broker does not know this name with this password.");
  await watched.enter(ALICE);
  await watched.presence(DEVICE, "live");
  await watched.end();
});

test("what is missing or cannot be is told before anything is tried", async () => {
  const watched = await Watched.open(browser);
  const { page } = watched;
  await page.goto(stand.url);
  const says = (wanted: RegExp) => until("the message", () => page.getByRole("alert").textContent(), (text) => wanted.test(text ?? ""));
  await watched.enter({ name: "Alice", password: "x" });
  await says(/characters a-z, 0-9, _ and -/);
  await watched.enter({ name: "web-alice", password: "" });
  await says(/no password/);
  await page.getByLabel("Broker").fill("");
  await watched.enter(ALICE);
  await says(/address is missing/);
  await page.getByLabel("Broker").fill("mqtt://127.0.0.1");
  await watched.enter(ALICE);
  await says(/begins with wss:\/\//);
  await page.getByLabel("Broker").fill("ws://broker.example.org");
  await page.getByText("anybody on the way can read the password").waitFor();
  await watched.end();
});

test("nothing is stored but the name, unless it is asked for", async () => {
  const watched = await Watched.open(browser);
  const { page } = watched;
  await watched.login(stand, ALICE);
  await watched.presence(DEVICE, "live");
  await page.getByRole("button", { name: "Red night" }).click();
  assert.deepEqual(await stored(watched), { "obsbus-name": "web-alice" });
  assert.deepEqual(await page.context().cookies(), []);
  await page.reload();
  assert.equal(await page.getByLabel("Name").inputValue(), "web-alice");
  assert.equal(await page.getByLabel("Password", { exact: true }).inputValue(), "");
  assert.equal(await page.locator("html").getAttribute("data-theme"), "night", "the colours hold in this tab");

  await page.getByLabel("Keep the password").check();
  await watched.enter(ALICE);
  await watched.presence(DEVICE, "live");
  assert.deepEqual(Object.keys(await stored(watched)).sort(), ["obsbus-login", "obsbus-name"]);
  await page.reload();
  await watched.presence(DEVICE, "live");
  await page.getByRole("button", { name: /log out/ }).click();
  await page.getByLabel("Name").waitFor();
  assert.deepEqual(await stored(watched), { "obsbus-name": "web-alice" });
  await watched.end();
});

test("the file works by a double click, with the address typed", async () => {
  const watched = await Watched.open(browser);
  await watched.page.goto(pathToFileURL(path.join(PAGE, "index.html")).href);
  assert.equal(await watched.page.getByLabel("Broker").inputValue(), "");
  await watched.page.getByLabel("Broker").fill(`127.0.0.1:${stand.where.web_port}`);
  await watched.enter(ALICE);
  await watched.presence(DEVICE, "live");
  await watched.end();
});

test("over TLS it logs in where the certificate is trusted", async () => {
  const watched = await Watched.open(browser, { ignoreHTTPSErrors: true });
  await watched.page.goto(pathToFileURL(path.join(PAGE, "index.html")).href);
  await watched.page.getByLabel("Broker").fill(`wss://localhost:${tlsPort}`);
  await watched.enter(ALICE);
  await watched.presence(DEVICE, "live");
  await watched.end();
});

test("a certificate that the browser does not trust is told with the remedy", async () => {
  const watched = await Watched.open(browser, { allowed: BROKER_IS_DOWN });
  const { page } = watched;
  await page.goto(stand.url);
  await page.getByLabel("Broker").fill(`wss://127.0.0.1:${tlsPort}`);
  await watched.enter(ALICE);
  await page.getByText(/does not trust the broker's certificate.*\(ca\.pem\) installed/).waitFor();
  assert.equal(await page.getByRole("link", { name: `https://127.0.0.1:${tlsPort}/` }).count(), 1);
  await page.getByText(/The broker is down, or/).waitFor();
  await watched.end();
});

test("a broker that is not there, or wants TLS, is told with what may be wrong", async () => {
  const watched = await Watched.open(browser, { allowed: BROKER_IS_DOWN });
  const { page } = watched;
  await page.goto(stand.url);
  await page.getByLabel("Broker").fill(`ws://127.0.0.1:${tlsPort}`);
  await watched.enter(ALICE);
  await page.getByText(/The listener wants TLS: then the address begins with wss:/).waitFor();
  await page.getByText(/^No connection to ws:.* yet\./).waitFor();
  await page.getByRole("button", { name: /log out/ }).click();
  await page.getByLabel("Broker").fill(`ws://127.0.0.1:${stand.where.web_port}`);
  await watched.enter(ALICE);
  await watched.presence(DEVICE, "live");
  await watched.end();
});
