// Follows docs/node-red.md: runs its commands, uses its settings, and expects to see an instrument.

const assert = require("node:assert/strict");
const { execFileSync } = require("node:child_process");
const { appendFileSync, copyFileSync, mkdirSync, mkdtempSync, rmSync } = require("node:fs");
const { tmpdir } = require("node:os");
const { join } = require("node:path");
const { test } = require("node:test");

const { Browser } = require("./support/browser.js");
const { freePort } = require("./support/node-red.js");
const { blocks } = require("./support/page.js");
const { REPOSITORY } = require("./support/places.js");
const { Process } = require("./support/process.js");
const { Stand } = require("./support/stand.js");
const { waitFor } = require("./support/wait.js");

test("following the documentation leads to a working dashboard", async (t) => {
    const home = mkdtempSync(join(tmpdir(), "obsbus-node-red-page-"));
    t.after(() => rmSync(home, { recursive: true }));
    const stand = await Stand.start(["thermometer"]);
    t.after(() => stand.close());
    const port = await freePort();
    const environment = {
        ...process.env, HOME: home, PORT: String(port), npm_config_prefix: join(home, "npm"),
        // The npm settings of this machine, in spite of the new home.
        npm_config_userconfig: process.env.npm_config_userconfig ?? join(process.env.HOME, ".npmrc"),
        npm_config_cache: process.env.npm_config_cache ?? join(process.env.HOME, ".npm"),
        npm_config_update_notifier: "false",
        PATH: `${join(home, "npm/bin")}:${process.env.PATH}`,
    };

    const [install, certificate, flow, start, ...more] = blocks("sh");
    assert.deepEqual(more, [], "every block of commands is run here");
    const run = (block, cwd) => execFileSync("bash", ["-e", "-c", block], { env: environment, cwd, stdio: "pipe" });
    run(install, home);

    const made = join(home, "certificates");
    mkdirSync(made);
    const files = await stand.say("identity nodered");
    copyFileSync(files.ca_file, join(made, "ca.pem"));
    copyFileSync(files.certificate_file, join(made, "nodered.pem"));
    copyFileSync(files.key_file, join(made, "nodered.key"));
    run(certificate, made);

    const folder = join(home, ".node-red");
    copyFileSync(join(home, "npm/lib/node_modules/node-red/settings.js"), join(folder, "settings.js"));
    const [settings] = blocks("js");
    const here = settings.replace("broker.example.org", stand.host).replace("8883", String(stand.mqtt_port));
    appendFileSync(join(folder, "settings.js"), here);
    run(flow, REPOSITORY);

    const red = new Process("bash", ["-c", `exec ${start}`], { env: environment, cwd: home });
    t.after(() => red.stop());
    await waitFor("Node-RED to have the broker", () => {
        if (red.child.exitCode !== null) throw new Error(red.story("ended"));
        return red.lines.some((line) => line.includes("Connected to broker"));
    }).catch((error) => { throw new Error(red.story(error.message)); });
    const browser = await Browser.start();
    t.after(() => browser.close());
    const page = await browser.watch(`http://127.0.0.1:${port}/dashboard/obsbus`);
    await page.locator('[data-device="clasp/thermometer"] .ob-status', { hasText: "IDLE" }).waitFor();
    assert.deepEqual(browser.complaints, []);
});
