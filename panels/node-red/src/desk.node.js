// Function node "desk" of the subflow: sends a command and returns its verdict.
// Outputs: 1 the verdict, 2 "accepted", 3 to the broker, 4 the status text of the subflow.

const { Desk } = require("./desk.js");

const COLOURS = { accepted: "blue", done: "green", rejected: "yellow", stopped: "yellow" };

// Each function node has globals of its own, which end with it. (A context may be stored on the disk,
// and would be out of date after a restart.)
globalThis.desk ??= new Desk(env.get("IDENTITY"));
const { desk } = globalThis;
const now = Date.now();

function say(verdict) {
    if (!verdict) return;
    const { msg: asked, word, reply } = verdict;
    const told = { ...RED.util.cloneMessage(asked), verdict: word, payload: reply };
    const text = `${asked.verb}: ${word}`;
    const status = { payload: { fill: COLOURS[word] ?? "red", shape: "dot", text } };
    node.send(word === "accepted" ? [null, told, null, status] : [told, null, null, status]);
}

function waitForTheNext() {
    clearTimeout(globalThis.timer);
    const next = desk.next();
    if (next === null) return;
    globalThis.timer = setTimeout(() => {
        desk.overdue(Date.now()).forEach(say);
        waitForTheNext();
    }, Math.max(next - Date.now(), 0));
}

// Properties of the node are the defaults for what the message does not have.
function completed(asked) {
    asked.device ??= env.get("DEVICE");
    asked.verb ??= env.get("VERB");
    asked.arguments ??= env.get("ARGUMENTS");
    asked.ttl_s ??= env.get("TTL_S");
    asked.id ??= `nodered-${RED.util.generateId()}`;
    asked.ts ??= now;
    return asked;
}

function take() {
    if (msg.status) {
        desk.connected = msg.status.fill === "green";
        return;
    }
    switch (msg.obsbus) {
        case "command": {
            delete msg.obsbus;
            const { publish, verdict } = desk.command(completed(msg), now);
            if (publish) node.send([null, null, publish, null]);
            return say(verdict);
        }
        case "reply":
            return say(desk.reply(msg.payload, msg.correlationData, now));
        case "refused":
            return say(desk.refused(msg.id, msg.error?.message));
    }
}

take();
waitForTheNext();
return null;
