// The desk of the subflow: every command gets exactly one verdict.

const assert = require("node:assert/strict");
const { test } = require("node:test");

const { Desk } = require("../src/desk.js");

const NOW = Date.parse("2026-11-30T04:00:00.000Z");

function desk() {
    const made = new Desk("nodered");
    made.connected = true;
    return made;
}

const command = (more = {}) => ({
    device: "clasp/thing", verb: "set", arguments: { mm: 3.2 }, id: "night-1", ts: NOW, ttl_s: 5, topic: "mine", ...more,
});

const reply = (more) => JSON.stringify({ id: "night-1", verb: "set", by: "nodered", code: null, ...more });
const accepted = () => reply({ status: "accepted", received_at: "2026-11-30T04:00:00.000Z", deadline: "2026-11-30T04:01:00.000Z" });

test("a command has the identity, a time and an expiry, and is never retained", () => {
    const { publish } = desk().command(command(), NOW);
    assert.equal(publish.topic, "clasp/thing/command/nodered/set");
    assert.equal(publish.retain, false);
    assert.equal(publish.responseTopic, "clasp/thing/reply/nodered/night-1");
    assert.equal(publish.correlationData.toString(), "night-1");
    assert.equal(publish.messageExpiryInterval, 5);
    assert.deepEqual(JSON.parse(publish.payload), { mm: 3.2, id: "night-1", ts: "2026-11-30T04:00:00.000Z", ttl_s: 5 });
});

test("each status of a reply has its word, and the reply is the payload", () => {
    const words = { succeeded: "done", rejected: "rejected", failed: "failed", timed_out: "timed out", stopped: "stopped" };
    for (const [status, word] of Object.entries(words)) {
        const made = desk();
        made.command(command(), NOW);
        const verdict = made.reply(reply({ status, code: 7, message: "why" }), Buffer.from("night-1"), NOW);
        assert.equal(verdict.word, word);
        assert.equal(verdict.reply.message, "why");
        assert.equal(verdict.msg.topic, "mine", "the rest of the message stays");
        assert.equal(made.next(), null);
    }
});

test("accepted is reported once, and extends the wait to the deadline", () => {
    const made = desk();
    made.command(command(), NOW);
    assert.equal(made.next(), NOW + 7000);
    assert.equal(made.reply(accepted(), Buffer.from("night-1"), NOW + 100).word, "accepted");
    assert.equal(made.reply(accepted(), Buffer.from("night-1"), NOW + 200), null);
    assert.equal(made.next(), NOW + 200 + 63_000);
    assert.equal(made.reply(reply({ status: "succeeded", code: 0 }), undefined, NOW + 300).word, "done");
});

test("without a reply the verdict is no answer, and a late reply gives no second verdict", () => {
    const made = desk();
    made.command(command(), NOW);
    assert.deepEqual(made.overdue(NOW + 6999), []);
    const [verdict] = made.overdue(NOW + 7000);
    assert.equal(verdict.word, "no answer");
    assert.equal(verdict.reply.code, 29);
    assert.match(verdict.reply.message, /no reply from clasp\/thing/);
    assert.equal(made.reply(reply({ status: "succeeded", code: 0 }), Buffer.from("night-1"), NOW + 7001), null);
});

test("an accepted command without a final reply by the deadline gets no answer as its verdict", () => {
    const made = desk();
    made.command(command(), NOW);
    made.reply(accepted(), Buffer.from("night-1"), NOW);
    const [verdict] = made.overdue(NOW + 63_000);
    assert.equal(verdict.word, "no answer");
    assert.match(verdict.reply.message, /accepted the command/);
});

test("replies to other commands and unreadable messages are ignored", () => {
    const made = desk();
    made.command(command(), NOW);
    for (const [payload, id] of [[reply({ status: "succeeded" }), "other"], ["{", "night-1"], ["null", "night-1"], [reply({ status: "odd" }), "night-1"]]) {
        assert.equal(made.reply(payload, Buffer.from(id), NOW), null);
    }
    assert.equal(made.waiting.size, 1);
});

test("without a connection nothing is sent and nothing is queued", () => {
    const made = desk();
    made.connected = false;
    const { publish, verdict } = made.command(command(), NOW);
    assert.equal(publish, undefined);
    assert.deepEqual([verdict.word, verdict.reply.code, verdict.reply.status], ["rejected", 155, "rejected"]);
    assert.equal(made.waiting.size, 0);
});

test("a refusal by the broker is a rejection that names the certificate it needs", () => {
    const made = desk();
    made.command(command(), NOW);
    const verdict = made.refused("night-1", "Publish error: Not authorized");
    assert.deepEqual([verdict.word, verdict.reply.code], ["rejected", 3]);
    assert.match(verdict.reply.message, /Not authorized.*certificate must have the name nodered/);
    assert.equal(made.refused("night-1", "again"), null);
});

test("an invalid message is rejected at once, and the verdict says what is valid", () => {
    const wrong = [
        [{ device: "thing" }, /msg.device is "thing"; it must be SITE\/DEVICE/],
        [{ device: undefined }, /msg.device is missing/],
        [{ device: "clasp/thing/x" }, /SITE\/DEVICE/],
        [{ device: "clasp/+" }, /SITE\/DEVICE/],
        [{ verb: "set/x" }, /msg.verb is "set\/x"/],
        [{ verb: "" }, /msg.verb is missing/],
        [{ arguments: 3.2 }, /msg.arguments is 3.2; it must be an object/],
        [{ arguments: [3.2] }, /msg.arguments is \[3.2\]/],
        [{ arguments: { id: "x" } }, /msg.arguments has the key id; use msg.id/],
        [{ id: "last" }, /msg.id is "last"/],
        [{ id: "a b" }, /msg.id is "a b"/],
        [{ ts: "yesterday" }, /msg.ts is "yesterday"/],
        [{ ttl_s: 0 }, /msg.ttl_s is 0; it must be a number from 0.1 to 3600/],
        [{ ttl_s: "5" }, /msg.ttl_s is "5"/],
    ];
    for (const [more, message] of wrong) {
        const { publish, verdict } = desk().command(command(more), NOW);
        assert.equal(publish, undefined);
        assert.deepEqual([verdict.word, verdict.reply.code], ["rejected", 20]);
        assert.match(verdict.reply.message, message);
    }
});

test("an id is not sent twice while its verdict is pending", () => {
    const made = desk();
    made.command(command(), NOW);
    const { publish, verdict } = made.command(command(), NOW);
    assert.equal(publish, undefined);
    assert.match(verdict.reply.message, /night-1; a command with this id is still waiting/);
    assert.equal(made.waiting.size, 1);
});
