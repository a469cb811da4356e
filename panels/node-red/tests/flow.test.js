// The two files that people import: they are up to date, and nothing in them sends a command by itself.

const assert = require("node:assert/strict");
const { execFileSync } = require("node:child_process");
const { readdirSync, readFileSync } = require("node:fs");
const { join } = require("node:path");
const { test } = require("node:test");

const { FunctionNode } = require("./support/function-node.js");
const { FOLDER } = require("./support/places.js");

const read = (name) => JSON.parse(readFileSync(join(FOLDER, name), "utf8"));
const [flows, command] = [read("flows.json"), read("obsbus-command.json")];
const named = (type, name) => flows.find((node) => node.type === type && node.name === name);

test("the files are up to date with their sources", () => {
    execFileSync(process.execPath, [join(FOLDER, "tools/build.js"), "--check"]);
});

test("the subflow's own file has the same nodes as the dashboard's", () => {
    for (const node of command) assert.deepEqual(flows.find(({ id }) => id === node.id), node);
    assert.deepEqual(command.filter(({ type }) => type.startsWith("ui-")), []);
});

test("every id is hexadecimal, so that no property value equals it by chance", () => {
    for (const { id } of flows) assert.match(id, /^[0-9a-f]{16}$/);
    assert.equal(new Set(flows.map(({ id }) => id)).size, flows.length);
});

test("every reference points to an existing node", () => {
    const ids = new Set(flows.map(({ id }) => id));
    for (const { wires = [], scope = [], broker, tls, id } of flows) {
        const known = broker?.startsWith("${") ? [] : [broker].filter(Boolean);
        for (const end of [...wires.flat(), ...scope, ...known, ...[tls].filter(Boolean)]) assert.ok(ids.has(end), `${id} -> ${end}`);
    }
});

test("no widget passes on its input, and no command is retained", () => {
    for (const node of flows) {
        if ("passthru" in node) assert.equal(node.passthru, false, node.name);
        if ("storeOutMessages" in node) assert.equal(node.storeOutMessages, false, node.name);
        if ("outs" in node) assert.equal(node.outs, "end", node.name);
        if (node.type === "mqtt out") assert.deepEqual([node.retain, node.qos], ["false", "1"]);
    }
    const broker = named("mqtt-broker", "obsbus broker");
    assert.deepEqual([broker.protocolVersion, broker.cleansession, broker.clientid], ["5", true, ""]);
});

test("only a press becomes a command", () => {
    const sort = new FunctionNode(named("function", "sort").func);
    assert.equal(sort.receive({ payload: { devices: {} } }), null);
    assert.equal(sort.receive({}), null);
    assert.deepEqual(structuredClone(sort.receive({ payload: { wants: "everything" } })), [{ payload: { wants: "everything" } }, null]);
    const press = { device: "clasp/thing", verb: "set", arguments: { mm: 1 }, id: "x", pressed_at: 5 };
    const [, sent] = sort.receive({ payload: { press }, _client: {}, topic: "t" });
    assert.deepEqual(structuredClone(sent), { device: "clasp/thing", verb: "set", arguments: { mm: 1 }, id: "x", ts: 5 });
});

test("the function node keeps its data between messages, and warns of unreadable ones", () => {
    const devices = new FunctionNode(named("function", "devices").func);
    const meta = { schema: 2, label: "thing", verbs: [], properties: [] };
    devices.receive({ topic: "clasp/thing/meta", payload: JSON.stringify(meta) });
    devices.receive({ topic: "clasp/thing/availability", payload: "online" });
    devices.receive({ topic: "clasp/thing/state", payload: "{" });
    assert.equal(devices.sent.length, 0, "changes are collected first");
    assert.equal(devices.later.length, 1);
    devices.later[0]();
    assert.equal(devices.sent[0].payload.devices["clasp/thing"].shown.bridge, "online");
    assert.match(devices.warnings[0], /clasp\/thing\/state cannot be read/);
});

test("the properties of the subflow are the defaults of the message", () => {
    const properties = { IDENTITY: "nodered", DEVICE: "clasp/thing", VERB: "ping", ARGUMENTS: {}, TTL_S: 5 };
    const desk = new FunctionNode(named("function", "desk").func, properties);
    desk.receive({ obsbus: "command", payload: 1764476000000 });
    const [, , sent] = desk.sent[0];
    assert.equal(sent.topic, "clasp/thing/command/nodered/ping");
    assert.deepEqual(Object.keys(JSON.parse(sent.payload)), ["id", "ts", "ttl_s"]);
    desk.receive({ obsbus: "reply", payload: JSON.stringify({ id: sent.id, status: "succeeded", code: 0 }), correlationData: sent.correlationData });
    const [verdict, , , status] = desk.sent[1];
    assert.equal(verdict.verdict, "done");
    assert.deepEqual(structuredClone(status.payload), { fill: "green", shape: "dot", text: "ping: done" });
});

test("no source names an instrument", () => {
    for (const folder of ["src", "tools"]) {
        for (const name of readdirSync(join(FOLDER, folder))) {
            const text = readFileSync(join(FOLDER, folder, name), "utf8");
            assert.doesNotMatch(text, /chiller|focuser|thermometer/i, name);
        }
    }
});
