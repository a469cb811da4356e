/** The recipe for nginx in docs/web-panel.md, with its paths and ports substituted. */

import assert from "node:assert/strict";
import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";

import type { Browser } from "playwright-core";

import { launch, until, Watched } from "./chromium";
import { ALICE, HERE, PAGE, Stand } from "./stand";

const DEVICE = "clasp/thermometer";
const DOCS = path.resolve(HERE, "../../docs/web-panel.md");

let stand: Stand;
let browser: Browser;
let nginx: ChildProcess;
let folder: string;
let port: number;

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address ? address.port : 0));
    });
  });

/** The block of the page, every line of which that is to be another here is there once. */
function recipe(): string {
  const block = readFileSync(DOCS, "utf8").split("<!-- runs in the tests -->")[1]?.split("```nginx\n")[1]?.split("```")[0] ?? "";
  const changes: [string, string][] = [
    ["listen 443 ssl;", `listen 127.0.0.1:${port} ssl;`],
    ["/etc/nginx/panel.pem", path.join(folder, "panel.pem")],
    ["/etc/nginx/panel.key", path.join(folder, "panel.key")],
    ["root /usr/share/obsbus/panel;", `root ${PAGE};`],
    ["http://127.0.0.1:9001;", `http://127.0.0.1:${stand.where.web_port};`],
  ];
  return changes.reduce((text, [from, to]) => {
    assert.equal(text.split(from).length, 2, `${from} stands in the recipe once`);
    return text.replace(from, to);
  }, block);
}

before(async () => {
  stand = await Stand.start();
  browser = await launch();
  port = await freePort();
  folder = mkdtempSync(path.join(tmpdir(), "panel-nginx-"));
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", path.join(folder, "panel.key")];
  execFileSync("openssl", ["req", "-x509", "-days", "2", "-subj", "/CN=localhost", ...key, "-out", path.join(folder, "panel.pem")], { stdio: "ignore" });
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((kind) => `${kind}_temp_path ${folder}/${kind};`);
  const user = process.getuid?.() === 0 ? "user root;" : "";
  const config = `${user} daemon off; pid ${folder}/pid; error_log stderr; events {} http { access_log off; types { text/html html; } ${temporary.join(" ")} ${recipe()} }`;
  writeFileSync(path.join(folder, "nginx.conf"), config);
  nginx = spawn("nginx", ["-c", path.join(folder, "nginx.conf"), "-p", folder, "-e", "stderr"], {
    env: { ...process.env, PATH: `${process.env["PATH"]}:/usr/sbin` },
    stdio: ["ignore", "inherit", "inherit"],
  });
});

after(async () => {
  nginx?.kill();
  await browser?.close();
  await stand?.end();
  rmSync(folder, { recursive: true, force: true });
});

test("behind nginx the page and the broker have one address with TLS", async () => {
  const watched = await Watched.open(browser, { ignoreHTTPSErrors: true });
  await until("nginx", () => watched.page.goto(`https://127.0.0.1:${port}/`).then(() => true, () => false), (is) => is);
  assert.equal(await watched.page.getByLabel("Broker").inputValue(), `wss://127.0.0.1:${port}/mqtt`);
  await watched.enter(ALICE);
  await watched.presence(DEVICE, "live");
  const ping = watched.command(DEVICE, "Ping");
  await ping.getByRole("button").click();
  await watched.answer(ping, "done");
  await watched.end();
});
