// The dashboard in a real browser: real Node-RED, broker and bridges, simulated instruments.

const assert = require("node:assert/strict");
const { readFileSync } = require("node:fs");
const { join } = require("node:path");
const { after, afterEach, before, test } = require("node:test");

const { Browser, picture } = require("./support/browser.js");
const { NodeRed } = require("./support/node-red.js");
const { FOLDER } = require("./support/places.js");
const { Stand } = require("./support/stand.js");
const { waitFor } = require("./support/wait.js");

const FLOWS = readFileSync(join(FOLDER, "flows.json"), "utf8");

let stand, red, browser, page, commands, bridge;

before(async () => {
    stand = await Stand.start();
    red = await NodeRed.start(stand, FLOWS);
    browser = await Browser.start();
    page = await browser.watch(`${red.address}/dashboard/obsbus`);
    // The bridge's identity may read commands, so this client sees every command that the flow sends.
    bridge = await stand.client("chiller-bridge");
    commands = [];
    bridge.on("message", (topic) => commands.push(topic));
    await bridge.subscribeAsync("clasp/chiller/command/+/+", { qos: 1 });
    for (const kind of stand.kinds) await shows(kind, "h2", /./);
});

after(async () => {
    await bridge?.endAsync(true);
    await browser?.close();
    await red?.close();
    await stand?.close();
});

afterEach(() => {
    assert.deepEqual(red.complaints(), [], "Node-RED logs no warning");
    assert.deepEqual(browser.complaints, [], "the browser reports no error");
});

const card = (kind) => page.locator(`[data-device="clasp/${kind}"]`);
const control = (kind, verb) => card(kind).locator(`[data-verb="${verb}"]`);
const text = (locator) => locator.first().innerText({ timeout: 1000 });

async function shows(kind, selector, wanted) {
    return waitFor(`${kind} ${selector} to show ${wanted}`, async () => {
        const found = await card(kind).locator(selector).allInnerTexts();
        if (!found.some((each) => wanted.test(each))) throw new Error(`it shows ${found.join(" | ")}`);
        return found.find((each) => wanted.test(each));
    });
}

const status = (kind, wanted) => shows(kind, ".ob-status", wanted);
const verdict = (kind, verb, wanted) => shows(kind, `[data-verb="${verb}"] .ob-told`, wanted);
// Verbs without arguments share one row; each verdict there begins with the verb's label.
const verdictOn = (kind, wanted) => shows(kind, ".ob-told", wanted);

async function value(kind, label) {
    const row = card(kind).locator("dl > div", { has: page.locator("dt", { hasText: new RegExp(`^${label}$`) }) });
    return text(row.locator("dd"));
}

test("the page shows the values and controls of every instrument", async () => {
    const water = (await stand.last("chiller")).water_temp;
    assert.equal(await value("chiller", "Water"), `${water.toFixed(1)}°C`);
    const { temperature } = await stand.last("thermometer");
    await waitFor("the temperature", async () => (await value("thermometer", "Temperature")) === `${temperature.toFixed(2)}°C`);
    assert.equal(await value("focuser", "Homed"), "no");
    for (const kind of stand.kinds) {
        const meta = await stand.last(kind, "meta");
        const state = await stand.last(kind);
        await status(kind, new RegExp(`^${state.status_label}$`));
        assert.match(await text(card(kind).locator("header small")), new RegExp(`${meta.model} · clasp/${kind}`));
        for (const verb of meta.verbs) assert.ok(await control(kind, verb.name).count(), `${kind} has a control for ${verb.name}`);
    }
});

test("a choice sends a command with the identity nodered, and the page shows its verdict", async () => {
    await control("chiller", "mode").locator('[data-choice="manual"]').click();
    await verdict("chiller", "mode", /^done: manual now \d\d:\d\d:\d\d UTC$/);
    const { last_command, mode } = await stand.last("chiller");
    assert.deepEqual([mode, last_command.by, last_command.verb], ["manual", "nodered", "mode"]);
    assert.match(await stand.say("broker log"), /u'nodered'/);
    assert.deepEqual(commands, ["clasp/chiller/command/nodered/mode"]);
});

test("a number is sent only on a press, and only within the range from meta", async () => {
    const field = control("chiller", "setpoint").locator("input");
    const send = control("chiller", "setpoint").locator(".ob-send");
    const sent = commands.length;
    assert.ok(await send.isDisabled(), "there is nothing to send");
    await field.fill("99");
    assert.match(await text(control("chiller", "setpoint").locator(".ob-fault")), /99 is outside 5 to 30°C/);
    assert.ok(await send.isDisabled());
    await field.press("Enter");
    await field.fill("14.5");
    await field.press("ArrowUp");
    await field.press("ArrowDown");
    await field.blur();
    assert.equal(commands.length, sent, "typing sends nothing");
    await send.click();
    await verdict("chiller", "setpoint", /^done/);
    assert.equal((await stand.last("chiller")).setpoint_temp, 14.5);
    assert.equal(commands.length, sent + 1);
});

test("a verb with several arguments has a form, and optional ones may stay empty", async () => {
    await control("thermometer", "heater").locator("select").selectOption("on");
    await control("thermometer", "heater").locator(".ob-send").click();
    await verdict("thermometer", "heater", /^done/);
    await status("thermometer", /^HEATING$/);
});

test("a rejection shows the bridge's message", async () => {
    await control("focuser", "set").locator("input").fill("3");
    await control("focuser", "set").locator(".ob-send").click();
    const shown = await verdict("focuser", "set", /^rejected/);
    const { events } = await waitFor("the event of the refusal", async () => {
        const recent = await stand.last("focuser", "recent");
        return recent.events.some(({ verb }) => verb === "set") && recent;
    });
    const refusal = events.findLast(({ verb }) => verb === "set");
    assert.equal(refusal.code, 7);
    const [, words] = /^rejected \(7\): (.{10,}) \S+ UTC$/.exec(shown);
    assert.ok(refusal.message.includes(words), `${words} <-> ${refusal.message}`);
});

test("a dangerous verb asks first, and Cancel sends nothing", async () => {
    const { question } = (await stand.last("focuser", "meta")).verbs.find(({ name }) => name === "init");
    await control("focuser", "init").locator(".ob-send").click();
    const dialog = page.locator(".ob-question");
    await dialog.waitFor();
    assert.ok((await dialog.innerText()).includes(question));
    await page.waitForFunction(() => document.activeElement?.textContent.includes("Cancel"));
    await picture(page, "question", false);
    await dialog.getByText("Cancel").click();
    await dialog.waitFor({ state: "hidden" });
    assert.equal(await control("focuser", "init").locator(".ob-told").count(), 0);
    await control("focuser", "init").locator(".ob-send").click();
    await dialog.locator(".ob-yes").click();
    await verdict("focuser", "init", /^(accepted|done)/);
    await verdict("focuser", "init", /^done/);
    await waitFor("homed", async () => (await value("focuser", "Homed")) === "yes");
});

test("the page shows the progress of a motion, and a stop ends it", async () => {
    await control("focuser", "set").locator("input").fill("6");
    await control("focuser", "set").locator(".ob-send").click();
    await card("focuser").locator(".ob-motion").waitFor();
    await picture(page, "moving");
    await control("focuser", "stop").click();
    await verdictOn("focuser", /Stop: done/);
    await verdict("focuser", "set", /^stopped \(28\)/);
    await card("focuser").locator(".ob-motion").waitFor({ state: "detached" });
});

test("1,000 incoming states cause no command", async () => {
    const sent = commands.length;
    const known = await stand.last("chiller");
    await stand.say("bridge chiller stop");
    await bridge.publishAsync("clasp/chiller/availability", "online", { qos: 1, retain: true });
    for (let seq = 0; seq < 1000; seq += 1) {
        const changed = {
            seq, water_temp: seq / 100, setpoint_temp: 5 + (seq % 25), requested: seq % 2 === 0,
            mode: seq % 2 ? "manual" : "automatic", published_at: new Date().toISOString(), date: new Date().toISOString(),
        };
        await bridge.publishAsync("clasp/chiller/state", JSON.stringify({ ...known, ...changed }), { qos: 1, retain: true });
    }
    await waitFor("the last of them", async () => (await value("chiller", "Water")) === "10.0°C");
    // A later command from another client has arrived, so an earlier one from the flow would have, too.
    const client = await stand.client("alice");
    await client.publishAsync("clasp/chiller/command/alice/ping", "", { qos: 1 });
    await waitFor("the ping", () => commands.at(-1) === "clasp/chiller/command/alice/ping");
    await client.endAsync();
    assert.equal(commands.length, sent + 1);
    await stand.say("bridge chiller start");
    await stand.say("ready chiller");
});

test("an unplugged device is shown as offline, and recovers", async () => {
    await stand.say("sim thermometer unplug");
    await status("thermometer", /^OFFLINE$/);
    assert.equal(await value("thermometer", "Temperature"), "–");
    await picture(page, "unplugged");
    await stand.say("sim thermometer plug");
    await status("thermometer", /^(IDLE|HEATING)$/);
    assert.match(await value("thermometer", "Temperature"), /°C$/);
});

test("a dead bridge is shown, and its values disappear", async () => {
    await stand.say("bridge thermometer kill");
    await status("thermometer", /^NO BRIDGE$/);
    assert.equal(await value("thermometer", "Temperature"), "–");
    assert.ok(await control("thermometer", "ping").isDisabled());
    await picture(page, "no-bridge");
    await stand.say("bridge thermometer start");
    await status("thermometer", /^(IDLE|HEATING)$/);
});

test("a hanging bridge is shown by the page's own clock", async () => {
    await stand.say("bridge focuser freeze");
    await status("focuser", /^(STALE|NO BRIDGE)$/);
    await stand.say("bridge focuser thaw");
    await status("focuser", /^IDLE$/);
});

test("without a broker no values are shown, a press is rejected, and nothing is replayed later", async () => {
    const before = await stand.last("focuser");
    await stand.say("broker stop");
    await status("focuser", /^NOT LIVE$/);
    assert.match(await text(page.locator(".ob-trouble")), /no connection to the broker/);
    assert.ok(await control("focuser", "set").locator(".ob-send").isDisabled());
    await control("focuser", "stop").click();
    await verdictOn("focuser", /Stop: rejected \(155\): .*nothing was sent/);
    await picture(page, "no-broker");
    await stand.say("broker start");
    await stand.say("ready focuser");
    await status("focuser", /^IDLE$/);
    await page.locator(".ob-trouble").waitFor({ state: "detached" });
    const { last_command } = await stand.last("focuser");
    assert.deepEqual(last_command, before.last_command);
    for (const kind of stand.kinds) await status(kind, /^(IDLE|HEATING|CIRCULATING)$/);
    await bridge.subscribeAsync("clasp/chiller/command/+/+", { qos: 1 });
});

test("without Node-RED the page says so, sends nothing later, and recovers by itself", async () => {
    const before = await stand.last("focuser");
    await red.stop();
    await status("focuser", /^NOT LIVE$/);
    assert.match(await text(page.locator(".ob-trouble")), /No connection to Node-RED/);
    assert.equal(await value("focuser", "Position"), "–");
    await control("focuser", "stop").click();
    await verdictOn("focuser", /Stop: not sent: no connection to Node-RED/);
    await red.launch();
    await status("focuser", /^IDLE$/);
    browser.forgive();
    assert.deepEqual((await stand.last("focuser")).last_command, before.last_command);
});

test("a press that is delayed on its way is rejected as too old", async () => {
    const held = 6000; // more than the 5 s for which a command is meant
    red.process.child.kill("SIGSTOP");
    const pressed = Date.now();
    await control("chiller", "mode").locator('[data-choice="automatic"]').click();
    assert.equal(await text(control("chiller", "mode").locator(".ob-told")).then((said) => said.split(" ")[0]), "sent");
    await waitFor("the command to be too old", () => Date.now() > pressed + held);
    red.process.child.kill("SIGCONT");
    await verdict("chiller", "mode", /^rejected \(23\): /);
    assert.equal((await stand.last("chiller")).mode, "manual");
});

test("the page fits a phone, and hostile text stays text", async () => {
    const phone = await browser.watch(`${red.address}/dashboard/obsbus`, { width: 360, height: 740 });
    await phone.locator('[data-device="clasp/focuser"] .ob-status').waitFor();
    const known = await stand.last("thermometer");
    const hostile = '<img src=x onerror="document.title=1"><script>document.title=1</script>{{ 7 * 7 }}'.repeat(3);
    await stand.say("unjudged");
    const forger = await stand.client("thermometer-bridge");
    await stand.say("bridge thermometer stop");
    await forger.publishAsync("clasp/thermometer/availability", "online", { qos: 1, retain: true });
    const state = {
        ...known, status_label: hostile, summary: hostile, seq: 1e6, published_at: new Date().toISOString(),
        date: new Date().toISOString(), attention: [{ name: "x", severity: "alarm", since: known.date, text: hostile }],
    };
    await forger.publishAsync("clasp/thermometer/state", JSON.stringify(state), { qos: 1 });
    await waitFor("the hostile text", async () => (await text(phone.locator('[data-device="clasp/thermometer"] .ob-summary'))).startsWith("<img"));
    assert.match(await text(phone.locator('[data-device="clasp/thermometer"] .ob-summary')), /\{\{ 7 \* 7 \}\}/);
    assert.equal(await phone.locator('[data-device="clasp/thermometer"] img').count(), 0);
    assert.notEqual(await phone.title(), "1");
    await phone.locator('[data-device="clasp/focuser"] [data-verb="kill"]').scrollIntoViewIfNeeded();
    await picture(phone, "telephone", false);
    const box = await phone.locator('[data-device="clasp/focuser"] .ob-stop').boundingBox();
    assert.ok(box.y >= 0 && box.y + box.height < 740, "the stop stays in sight");
    const wide = await phone.evaluate(() => document.documentElement.scrollWidth > window.innerWidth);
    assert.ok(!wide, "nothing is wider than the screen");
    await phone.close();
    await forger.endAsync();
    await stand.say("bridge thermometer start");
});

test("the editor finds every node of the flow valid", async () => {
    const editor = await browser.open(red.address);
    const invalid = await waitFor("the editor to have the flow", () => editor.evaluate(() => {
        const all = [];
        const look = (node) => all.push({ name: `${node.type} ${node.name || node.id}`, valid: node.valid !== false });
        window.RED.nodes.eachNode(look);
        window.RED.nodes.eachConfig(look);
        return all.length > 20 && all;
    }));
    assert.deepEqual(invalid.filter(({ valid }) => !valid), []);
    await editor.close();
});
