// The subflow's desk: one verdict for each command, whatever happens.

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

test("a command goes out under the own name, with its time, and is never kept by the broker", () => {
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

test("accepted is told once, and moves the limit to the deadline", () => {
    const made = desk();
    made.command(command(), NOW);
    assert.equal(made.next(), NOW + 7000);
    assert.equal(made.reply(accepted(), Buffer.from("night-1"), NOW + 100).word, "accepted");
    assert.equal(made.reply(accepted(), Buffer.from("night-1"), NOW + 200), null);
    assert.equal(made.next(), NOW + 200 + 63_000);
    assert.equal(made.reply(reply({ status: "succeeded", code: 0 }), undefined, NOW + 300).word, "done");
});

test("without any reply there is no answer, and a late reply is no second verdict", () => {
    const made = desk();
    made.command(command(), NOW);
    assert.deepEqual(made.overdue(NOW + 6999), []);
    const [verdict] = made.overdue(NOW + 7000);
    assert.equal(verdict.word, "no answer");
    assert.equal(verdict.reply.code, 29);
    assert.match(verdict.reply.message, /clasp\/thing does not answer/);
    assert.equal(made.reply(reply({ status: "succeeded", code: 0 }), Buffer.from("night-1"), NOW + 7001), null);
});

test("accepted without a verdict by the deadline is no answer, and says that it was accepted", () => {
    const made = desk();
    made.command(command(), NOW);
    made.reply(accepted(), Buffer.from("night-1"), NOW);
    const [verdict] = made.overdue(NOW + 63_000);
    assert.equal(verdict.word, "no answer");
    assert.match(verdict.reply.message, /accepted it/);
});

test("replies to others, and what is no reply, are left alone", () => {
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

test("what the broker refuses is rejected, with the name that the certificate must have", () => {
    const made = desk();
    made.command(command(), NOW);
    const verdict = made.refused("night-1", "Publish error: Not authorized");
    assert.deepEqual([verdict.word, verdict.reply.code], ["rejected", 3]);
    assert.match(verdict.reply.message, /Not authorized.*certificate must be nodered/);
    assert.equal(made.refused("night-1", "again"), null);
});

test("what cannot be sent is rejected at once, and says what would be right", () => {
    const wrong = [
        [{ device: "thing" }, /msg.device is "thing": SITE\/DEVICE/],
        [{ device: undefined }, /msg.device is missing/],
        [{ device: "clasp/thing/x" }, /SITE\/DEVICE/],
        [{ device: "clasp/+" }, /SITE\/DEVICE/],
        [{ verb: "set/x" }, /msg.verb is "set\/x"/],
        [{ verb: "" }, /msg.verb is missing/],
        [{ arguments: 3.2 }, /msg.arguments is 3.2: an object/],
        [{ arguments: [3.2] }, /msg.arguments is \[3.2\]/],
        [{ arguments: { id: "x" } }, /msg.arguments has id: it goes into msg.id/],
        [{ id: "last" }, /msg.id is "last"/],
        [{ id: "a b" }, /msg.id is "a b"/],
        [{ ts: "yesterday" }, /msg.ts is "yesterday"/],
        [{ ttl_s: 0 }, /msg.ttl_s is 0: 0.1 to 3600/],
        [{ ttl_s: "5" }, /msg.ttl_s is "5"/],
    ];
    for (const [more, message] of wrong) {
        const { publish, verdict } = desk().command(command(more), NOW);
        assert.equal(publish, undefined);
        assert.deepEqual([verdict.word, verdict.reply.code], ["rejected", 20]);
        assert.match(verdict.reply.message, message);
    }
});

test("an id that still waits is not sent a second time", () => {
    const made = desk();
    made.command(command(), NOW);
    const { publish, verdict } = made.command(command(), NOW);
    assert.equal(publish, undefined);
    assert.match(verdict.reply.message, /night-1: a command with this id waits/);
    assert.equal(made.waiting.size, 1);
});
