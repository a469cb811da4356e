// The subflow's own file in a real Node-RED: a test sends a command over HTTP and gets the verdict.

const assert = require("node:assert/strict");
const { readFileSync } = require("node:fs");
const { join } = require("node:path");
const { after, before, test } = require("node:test");

const { NodeRed } = require("./support/node-red.js");
const { blocks } = require("./support/page.js");
const { FOLDER } = require("./support/places.js");
const { Stand } = require("./support/stand.js");
const { waitFor } = require("./support/wait.js");

const SUBFLOW = JSON.parse(readFileSync(join(FOLDER, "obsbus-command.json"), "utf8"));
const EXAMPLE = blocks("js").find((block) => block.includes("return msg"));

/** A flow around the subflow: POST /command sends a command, GET /accepted lists the accepted ones. */
function flow() {
    const subflow = SUBFLOW.find(({ type }) => type === "subflow");
    const z = "f0";
    const code = (id, func, wires) => ({ id, type: "function", z, func, outputs: 1, noerr: 0, initialize: "", finalize: "", libs: [], wires: [wires] });
    const web = (id, method, url, wires) => ({ id, type: "http in", z, url, method, upload: false, wires: [wires] });
    const subflowNode = (id, env, to) => ({ id, type: `subflow:${subflow.id}`, z, env, wires: [[to], ["f6"]] });
    const nodes = [
        web("f1", "post", "/command", ["f2"]),
        code("f2", "return { ...msg, ...msg.payload };", ["f3"]),
        subflowNode("f3", [], "f4"),
        code("f4", "msg.payload = { verdict: msg.verdict, reply: msg.payload, topic: msg.topic }; return msg;", ["f5"]),
        { id: "f5", type: "http response", z, wires: [] },
        code("f6", "flow.set('accepted', [...flow.get('accepted') ?? [], msg.verdict + ' ' + msg.id]);", []),
        web("f7", "get", "/accepted", ["f8"]),
        code("f8", "msg.payload = flow.get('accepted') ?? []; return msg;", ["f5"]),
        web("f9", "get", "/example", ["fa"]),
        code("fa", EXAMPLE, ["f3"]),
        web("fb", "get", "/button", ["fc"]),
        subflowNode("fc", [{ name: "DEVICE", value: "clasp/thermometer", type: "str" }, { name: "VERB", value: "ping", type: "str" }], "f4"),
        web("fd", "post", "/alice", ["f2b"]),
        code("f2b", "return { ...msg, ...msg.payload };", ["fe"]),
        subflowNode("fe", [{ name: "IDENTITY", value: "alice", type: "str" }], "f4"),
    ];
    // Node-RED takes a node without a position for a configuration node.
    return JSON.stringify([...SUBFLOW, { id: z, type: "tab", label: "test" }, ...nodes.map((node) => ({ x: 0, y: 0, ...node }))]);
}

let stand, red;

before(async () => {
    stand = await Stand.start(["focuser", "thermometer"]);
    // The bridges reconnect within 2 s. Node-RED must be later, so that they receive what MQTT sends again.
    red = await NodeRed.start(stand, flow(), { mqttReconnectTime: 5000 });
});

after(async () => {
    await red?.close();
    await stand?.close();
});

async function ask(path, body) {
    const options = body && { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
    const response = await fetch(red.address + path, options);
    assert.equal(response.status, 200, `${path}: ${await response.clone().text()}`);
    return response.json();
}

const send = (device, verb, given = {}, more = {}) => ask("/command", { device, verb, arguments: given, topic: "mine", ...more });

test("a successful command is done, and the output has the reply and the rest of the message", async () => {
    const { verdict, reply, topic } = await send("clasp/focuser", "init", {}, { id: "home-1" });
    assert.deepEqual([verdict, reply.status, reply.code, reply.by, topic], ["done", "succeeded", 0, "nodered", "mine"]);
    assert.deepEqual((await ask("/accepted")).filter((line) => line.endsWith("home-1")), ["accepted home-1"]);
    assert.equal((await stand.last("focuser")).last_command.by, "nodered");
});

test("the example of the page moves the focuser", async () => {
    const { verdict } = await ask("/example");
    assert.equal(verdict, "done");
    assert.equal((await stand.last("focuser")).current_mm, 3.2);
});

test("the properties of the node are the defaults of the message", async () => {
    const { verdict, reply } = await ask("/button");
    assert.deepEqual([verdict, reply.verb], ["done", "ping"]);
});

test("a rejection has the bridge's code and message", async () => {
    const outside = await send("clasp/focuser", "set", { mm: 99 });
    assert.deepEqual([outside.verdict, outside.reply.code], ["rejected", 6]);
    assert.match(outside.reply.message, /99/);
    const unknown = await send("clasp/focuser", "dance");
    assert.deepEqual([unknown.verdict, unknown.reply.code], ["rejected", 21]);
    const old = await send("clasp/focuser", "set", { mm: 1 }, { ts: Date.now() - 60_000 });
    assert.deepEqual([old.verdict, old.reply.code], ["rejected", 23]);
    const bare = await send("clasp/focuser", "set", 3);
    assert.deepEqual([bare.verdict, bare.reply.code], ["rejected", 20]);
});

test("a command with the same id is not executed twice", async () => {
    const first = await send("clasp/focuser", "offset", { mm: -0.5 }, { id: "step-1" });
    const again = await send("clasp/focuser", "offset", { mm: -0.5 }, { id: "step-1" });
    assert.deepEqual([first.verdict, again.verdict, again.reply.duplicate], ["done", "done", true]);
    assert.equal((await stand.last("focuser")).current_mm, 2.7);
});

test("a stop ends a running motion, and both commands get their verdict", async () => {
    const moving = send("clasp/focuser", "set", { mm: 6 }, { id: "long-1" });
    await waitFor("it to be accepted", async () => (await ask("/accepted")).includes("accepted long-1"));
    const stop = await send("clasp/focuser", "stop");
    assert.equal(stop.verdict, "done");
    assert.deepEqual([(await moving).verdict, (await moving).reply.code], ["stopped", 28]);
});

test("a command that a broken connection delayed is not executed later", async () => {
    const before = await stand.last("focuser");
    await stand.say("broker freeze");
    const { verdict, reply } = await send("clasp/focuser", "set", { mm: 1 });
    assert.deepEqual([verdict, reply.code], ["no answer", 29]);
    assert.match(reply.message, /no reply from clasp\/focuser/);
    await stand.say("broker kill");
    await waitFor("the loss to be known", async () => (await send("clasp/focuser", "ping")).reply.code === 155);
    await stand.say("broker start");
    await stand.say("ready focuser");
    const refused = await waitFor("the command that MQTT sends again", async () => {
        const { events } = await stand.last("focuser", "recent");
        return events.find(({ id, code }) => id === reply.id && code !== null);
    });
    assert.deepEqual([refused.status, refused.code], ["rejected", 23]);
    await waitFor("a ping to go through", async () => (await send("clasp/focuser", "ping")).verdict === "done");
    const after = await stand.last("focuser");
    assert.deepEqual([after.current_mm, after.last_command], [before.current_mm, before.last_command]);
});

test("if the bridge dies during a command, the next bridge reports its failure", async () => {
    const moving = send("clasp/focuser", "set", { mm: 6 }, { id: "cut-1" });
    await waitFor("it to be accepted", async () => (await ask("/accepted")).includes("accepted cut-1"));
    await stand.say("bridge focuser kill");
    await stand.say("bridge focuser start");
    const { verdict, reply } = await moving;
    assert.deepEqual([verdict, reply.code], ["failed", 30]);
});

test("without a bridge the verdict is no answer", async () => {
    await stand.say("bridge thermometer kill");
    const { verdict, reply } = await send("clasp/thermometer", "ping", {}, { ttl_s: 0.5 });
    assert.deepEqual([verdict, reply.reason], ["no answer", "no_answer"]);
});

test("a wrong identity is rejected, and the verdict names the certificate it needs", async () => {
    const { verdict, reply } = await ask("/alice", { device: "clasp/focuser", verb: "stop", arguments: {} });
    assert.deepEqual([verdict, reply.code], ["rejected", 3]);
    assert.match(reply.message, /the broker refused it .*certificate must have the name alice/);
});

test("Node-RED logged no warning", () => {
    assert.deepEqual(red.complaints(), []);
});
