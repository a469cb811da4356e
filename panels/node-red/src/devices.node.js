// Function node "devices": collects what comes from the broker, and passes on what has changed, at
// most ten times a second.

const { Devices } = require("./devices.js");

const TOGETHER_MS = 100;

// The globals of a function node are its own, and go with it. (A context may be set up to be written
// to the disk: after a restart nothing of it is true any more.)
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
