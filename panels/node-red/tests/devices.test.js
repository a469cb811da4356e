// What the page shows for the messages of an invented device.

const assert = require("node:assert/strict");
const { test } = require("node:test");

const { Devices } = require("../src/devices.js");
const { shown } = require("../src/values.js");

const NOW = Date.parse("2026-11-30T04:00:10.000Z");

const property = (key, more) => ({
    key, label: key, quantity: "number", unit: null, decimals: null, words: [], role: "reading", many: false, history: false, set_by: null, ...more,
});

const META = {
    schema: 2, kind: "thing", label: "thing", model: "T-1", stale_after_s: 30,
    verbs: [{ name: "set", label: "Set", arguments: [{ name: "mm", kind: "number", unit: "degC" }] }],
    properties: [
        property("status", { quantity: "word", words: [{ word: "idle", label: "IDLE", tone: "good" }] }),
        property("inner.level", { quantity: "temperature", unit: "degC", decimals: 1, history: true }),
        property("progress", { role: "motion", quantity: "ratio" }),
        property("eta_s", { role: "motion", quantity: "duration", unit: "s" }),
    ],
};

const STATE = {
    status: "idle", status_label: "IDLE", summary: "idle", connected: true, stale_after_s: 30,
    date: "2026-11-30T04:00:00.000Z", published_at: "2026-11-30T04:00:02.000Z", attention: [],
    inner: { level: 12.345 }, progress: null, eta_s: null, last_command: null,
};

function devices(state = STATE, left = undefined) {
    const made = new Devices();
    made.hear("clasp/thing/meta", JSON.stringify(META), undefined, NOW);
    made.hear("clasp/thing/state", JSON.stringify(state), left, NOW);
    made.hear("clasp/thing/availability", "online", undefined, NOW);
    return made;
}

const drawn = (made, now = NOW) => made.whole(now).devices["clasp/thing"].shown;

test("a device is drawn from its meta", () => {
    const { status, tone, rows, bridge } = drawn(devices());
    assert.deepEqual([status, tone, bridge], ["IDLE", "good", "online"]);
    assert.deepEqual(rows.map(({ key, value }) => [key, value]), [["inner.level", "12.3°C"]]);
});

test("a word that is not in meta is shown as a warning", () => {
    const { status, tone } = drawn(devices({ ...STATE, status: "very_odd", status_label: undefined }));
    assert.deepEqual([status, tone], ["very odd", "warning"]);
});

test("the age of a retained state counts", () => {
    const { fresh_for_ms, read_ago_ms } = drawn(devices(STATE, 12), NOW + 2000);
    assert.equal(fresh_for_ms, 10_000);
    assert.equal(read_ago_ms, 2000 + 18_000 + 2000);
    assert.equal(drawn(devices(STATE), NOW + 31_000).fresh_for_ms, -1000);
});

test("only changes are sent, and only once", () => {
    const made = devices();
    assert.deepEqual(Object.keys(made.changes(NOW).devices["clasp/thing"]).sort(), ["about", "charts", "events", "shown"]);
    assert.equal(made.changes(NOW), null);
    made.hear("clasp/thing/state", JSON.stringify(STATE), undefined, NOW);
    assert.deepEqual(Object.keys(made.changes(NOW).devices["clasp/thing"]), ["shown"]);
});

test("after a lost connection only the description of a device is kept", () => {
    const made = devices();
    made.connection(false);
    const { shown: standing, about } = made.whole(NOW).devices["clasp/thing"];
    assert.deepEqual(standing, { bridge: null, known: false });
    assert.equal(about.label, "thing");
    assert.equal(made.whole(NOW).connected, false);
});

test("a device needs a meta, and disappears with it", () => {
    const made = devices();
    made.hear("clasp/power/state", '{"channels": {}}', undefined, NOW);
    assert.deepEqual(Object.keys(made.whole(NOW).devices), ["clasp/thing"]);
    made.hear("clasp/thing/meta", "", undefined, NOW);
    assert.deepEqual(made.whole(NOW).devices, {});
    assert.deepEqual(made.changes(NOW).gone, ["clasp/thing"]);
});

test("an unreadable message gives an error with its topic, and changes nothing", () => {
    const made = devices();
    assert.throws(() => made.hear("clasp/thing/state", "{", undefined, NOW), /clasp\/thing\/state cannot be read: /);
    assert.throws(() => made.hear("clasp/old/meta", '{"schema": 1, "verbs": []}', undefined, NOW), /clasp\/old\/meta.*version 2 is needed/);
    assert.equal(drawn(made).status, "IDLE");
});

test("a device that cannot be shown does not hide the others", () => {
    const made = devices();
    made.hear("clasp/bad/meta", JSON.stringify({ ...META, properties: [{ key: 7 }] }), undefined, NOW);
    made.hear("clasp/bad/state", JSON.stringify(STATE), undefined, NOW);
    const whole = made.whole(NOW).devices;
    assert.match(whole["clasp/bad"].shown.broken, /split/);
    assert.equal(whole["clasp/bad"].about.label, "thing");
    assert.equal(whole["clasp/thing"].shown.status, "IDLE");
});

test("the progress is shown only during a motion", () => {
    assert.equal(drawn(devices()).motion, null);
    assert.deepEqual(drawn(devices({ ...STATE, progress: 0.42, eta_s: 3.3 })).motion, { percent: 42, left: "3 s left" });
});

test("the history becomes a chart with its range and its gaps", () => {
    const made = devices();
    const history = { bin_s: 300, from: "2026-11-30T03:00:00.000Z", columns: { "inner.level": [1, null, 3], other: [1] } };
    made.hear("clasp/thing/history", JSON.stringify(history), undefined, NOW);
    const [chart, ...more] = made.whole(NOW).devices["clasp/thing"].charts;
    assert.deepEqual(more, []);
    assert.deepEqual(chart.values, [1, null, 3]);
    assert.deepEqual([chart.least_text, chart.most_text, chart.until], ["1.0°C", "3.0°C", "2026-11-30 03:15:00 UTC"]);
});

test("values have the same text as in the command line tools", () => {
    const cases = [
        [{ quantity: "position", unit: "mm", decimals: 3 }, 1.5, "1.500 mm"],
        [{ quantity: "temperature", unit: "degC", decimals: 1 }, -0.04, "0.0°C"],
        [{ quantity: "ratio", unit: null }, 0.256, "26%"],
        [{ quantity: "ratio", unit: "%", decimals: 0 }, 26, "26%"],
        [{ quantity: "duration", unit: "s" }, 300, "5 min"],
        [{ quantity: "switch" }, true, "yes"],
        [{ quantity: "switch", set_by: "run" }, false, "off"],
        [{ quantity: "time" }, "2026-11-30T04:17:46.058Z", "2026-11-30 04:17:46 UTC"],
        [{ quantity: "time" }, "no time", null],
        [{ quantity: "text" }, null, null],
        [{ quantity: "number" }, "12", null],
        [{ quantity: "current", unit: "A", decimals: 1, many: true }, [1, null], "1.0, - A"],
        [{ quantity: "text", many: true }, [], "none"],
        [{ quantity: "text", many: true }, null, null],
    ];
    for (const [more, value, text] of cases) assert.equal(shown(property("x", more), value), text, JSON.stringify([more, value]));
});
