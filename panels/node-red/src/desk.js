// Keeps the commands that wait for a verdict; each command gets exactly one. It reads no clock and
// sends nothing: the time is an argument, in milliseconds.

const NAME = /^[a-z0-9_-]{1,64}$/;
const VERB = /^[a-z0-9_]{1,32}$/;
const ID = /^[A-Za-z0-9._:-]{1,64}$/;

// After `ttl_s` a bridge does not start the command any more.
const ANSWER_GRACE_MS = 2000;
// The bridge itself sends `timed_out` at most 1 s after the deadline.
const VERDICT_GRACE_MS = 3000;

const MALFORMED = 20;
const NOT_AUTHORISED = 3;
const NO_ANSWER = 29;
const UNREACHABLE = 155;

const VERDICTS = {
    accepted: "accepted",
    in_progress: "accepted",
    succeeded: "done",
    rejected: "rejected",
    failed: "failed",
    timed_out: "timed out",
    stopped: "stopped",
};

class Desk {
    constructor(identity) {
        this.identity = identity;
        this.connected = null; // not known yet
        this.waiting = new Map(); // id -> { msg, accepted, until }
    }

    /** Returns the message to publish, or a verdict if nothing can be sent. */
    command(msg, now) {
        const wrong = this.whatIsWrong(msg);
        if (wrong) return { verdict: this.own(msg, "rejected", MALFORMED, "malformed", wrong) };
        if (this.connected === false) {
            const message = "Node-RED has no connection to the broker; nothing was sent";
            return { verdict: this.own(msg, "rejected", UNREACHABLE, "broker_not_reached", message) };
        }
        const { device, verb, id, ttl_s } = msg;
        this.waiting.set(id, { msg, accepted: false, until: now + ttl_s * 1000 + ANSWER_GRACE_MS });
        return {
            publish: {
                topic: `${device}/command/${this.identity}/${verb}`,
                payload: JSON.stringify({ ...msg.arguments, id, ts: new Date(msg.ts).toISOString(), ttl_s }),
                qos: 1,
                // A bridge refuses a retained command.
                retain: false,
                messageExpiryInterval: Math.ceil(ttl_s),
                responseTopic: `${device}/reply/${this.identity}/${id}`,
                correlationData: Buffer.from(id),
                contentType: "application/json",
                id,
            },
        };
    }

    whatIsWrong({ device, verb, arguments: given, id, ts, ttl_s }) {
        const names = typeof device === "string" ? device.split("/") : [];
        if (names.length !== 2 || !names.every((name) => NAME.test(name))) {
            return `msg.device is ${quote(device)}; it must be SITE/DEVICE, as in the device's topics`;
        }
        if (typeof verb !== "string" || !VERB.test(verb)) {
            return `msg.verb is ${quote(verb)}; it must be a verb of ${device}`;
        }
        if (typeof given !== "object" || given === null || Array.isArray(given)) {
            return `msg.arguments is ${quote(given)}; it must be an object, such as {"mm": 3.2}`;
        }
        const taken = ["id", "ts", "ttl_s"].find((name) => Object.hasOwn(given, name));
        if (taken) return `msg.arguments has the key ${taken}; use msg.${taken} instead`;
        if (typeof id !== "string" || !ID.test(id) || id === "last") {
            return `msg.id is ${quote(id)}; it must be 1 to 64 of A-Z a-z 0-9 . _ : -, and not "last"`;
        }
        if (this.waiting.has(id)) return `msg.id is ${id}; a command with this id is still waiting for its verdict`;
        if (Number.isNaN(new Date(ts).getTime())) {
            return `msg.ts is ${quote(ts)}; it must be a time in milliseconds or RFC 3339`;
        }
        if (typeof ttl_s !== "number" || !(ttl_s >= 0.1 && ttl_s <= 3600)) {
            return `msg.ttl_s is ${quote(ttl_s)}; it must be a number from 0.1 to 3600`;
        }
        return null;
    }

    /** Takes a reply; returns its verdict, or null if it belongs to no waiting command. */
    reply(payload, correlation, now) {
        let reply;
        try {
            reply = JSON.parse(payload);
        } catch {
            return null;
        }
        const id = correlation?.toString() ?? reply?.id;
        const waiting = this.waiting.get(id);
        const word = VERDICTS[reply?.status];
        if (!waiting || !word) return null;
        if (word !== "accepted") return this.end(id, word, reply);
        const allowed = Date.parse(reply.deadline) - Date.parse(reply.received_at);
        if (Number.isFinite(allowed)) waiting.until = now + allowed + VERDICT_GRACE_MS;
        // Report it only once.
        if (waiting.accepted) return null;
        waiting.accepted = true;
        return { msg: waiting.msg, word, reply };
    }

    /** The broker refused the message with this id. */
    refused(id, why) {
        const waiting = this.waiting.get(id);
        if (!waiting) return null;
        const message = `the broker refused it (${why}): the certificate must have the name ${this.identity}, ` +
            "and the broker's access control must allow it to send commands";
        return this.endOwn(id, "rejected", NOT_AUTHORISED, "not_authorised", message);
    }

    /** The verdicts for commands that have waited too long. */
    overdue(now) {
        const late = [...this.waiting].filter(([, { until }]) => until <= now);
        return late.map(([id, { msg, accepted }]) => {
            const message = accepted
                ? `${msg.device} accepted the command but sent no verdict by the deadline; check its state`
                : `no reply from ${msg.device} (is its bridge running?); check its state before you send the command again`;
            return this.endOwn(id, "no answer", NO_ANSWER, "no_answer", message);
        });
    }

    /** When to call `overdue` next; null if nothing waits. */
    next() {
        if (this.waiting.size === 0) return null;
        return Math.min(...[...this.waiting.values()].map(({ until }) => until));
    }

    endOwn(id, word, code, reason, message) {
        const { msg } = this.waiting.get(id);
        return this.end(id, word, this.own(msg, word, code, reason, message).reply);
    }

    end(id, word, reply) {
        const { msg } = this.waiting.get(id);
        this.waiting.delete(id);
        return { msg, word, reply };
    }

    /** A verdict that comes from here and not from a bridge; it has the keys of a reply. */
    own(msg, word, code, reason, message) {
        const status = word.replace(" ", "_");
        const { id, verb } = msg;
        return { msg, word, reply: { id, verb, by: this.identity, status, code, reason, message } };
    }
}

function quote(value) {
    return value === undefined || value === "" ? "missing" : JSON.stringify(value);
}

module.exports = { Desk };
