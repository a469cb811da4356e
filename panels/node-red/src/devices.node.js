// Function node "devices": collects the messages from the broker, and sends the changes to the page, at
// most ten times a second.

const { Devices } = require("./devices.js");

const TOGETHER_MS = 100;

// Each function node has globals of its own, which end with it. (A context may be stored on the disk,
// and would be out of date after a restart.)
globalThis.devices ??= new Devices();
const { devices } = globalThis;

if (msg.status) {
    devices.connection(msg.status.fill === "green");
    node.send({ payload: devices.whole(Date.now()) });
} else if (msg.payload?.wants === "everything") {
    node.send({ payload: devices.whole(Date.now()) });
} else if (typeof msg.topic === "string" && typeof msg.payload === "string") {
    try {
        devices.hear(msg.topic, msg.payload, msg.messageExpiryInterval, Date.now());
    } catch (error) {
        node.warn(error.message);
    }
    globalThis.later ??= setTimeout(() => {
        globalThis.later = undefined;
        const changes = devices.changes(Date.now());
        if (changes) node.send({ payload: changes });
    }, TOGETHER_MS);
}
return null;
