/** Text, figures, ages and addresses. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { address, guessedAddress, remedies } from "../../src/address";
import { Offset, since } from "../../src/clock";
import { figure, shown, span, time } from "../../src/figure";
import { at, clean, date, parse } from "../../src/payload";
import { place } from "../../src/topic";
import type { Property } from "../../src/description";

const PROPERTY: Property = { key: "x", label: "X", quantity: "number", unit: null, decimals: 1, words: [], role: "reading", many: false, history: false, setBy: null };
const show = (more: Partial<Property>, value: unknown): string => {
  const { text, unit } = shown({ ...PROPERTY, ...more }, value, Date.parse("2026-11-30T12:00:00Z"));
  return text + unit;
};

test("text loses what hides, reverses and piles up, and is cut between letters", () => {
  assert.equal(clean("a\u202eb\u0000c\nd"), "a b c d");
  assert.equal(clean("\u200b\ufeff"), "");
  assert.equal(clean(`e${"\u0301".repeat(50)}`), "e\u0301\u0301");
  assert.equal(clean("\u{1f534}".repeat(9), 3), "\u{1f534}\u{1f534}…");
  assert.equal(clean("x".repeat(1e6)).length, 200);
});

test("a value is looked up by its own keys alone", () => {
  assert.equal(at({ a: { b: 1 } }, "a.b"), 1);
  assert.equal(at({}, "constructor.name"), undefined);
  assert.equal(at({}, "__proto__"), undefined);
  assert.equal(at(JSON.parse('{"__proto__": 5}'), "__proto__"), 5);
});

test("what is no object of JSON in UTF-8 is nothing", () => {
  for (const text of ["", "1", "[]", "null", "{", '"x"']) assert.equal(parse(new TextEncoder().encode(text)), null);
  assert.equal(parse(new Uint8Array([0x7b, 0x22, 0xff, 0x22, 0x7d])), null);
  assert.deepEqual(parse(new TextEncoder().encode('{"a": 1}')), { a: 1 });
});

test("a date is one of the bus, and of this age of the world", () => {
  assert.equal(date("2026-11-30T12:00:00.000Z"), 1796040000000);
  for (const wrong of ["yesterday", "2026-11-30", 5, null, "9999-01-01T00:00:00Z", "2026-13-01T00:00:00Z"]) assert.equal(date(wrong), null);
});

test("values are shown with their unit and decimals", () => {
  assert.equal(show({ quantity: "temperature", unit: "degC" }, 12.34), "12.3°C");
  assert.equal(show({ decimals: 1 }, -0.01), "0.0");
  assert.equal(show({ decimals: null }, 1 / 3), "0.333333333");
  assert.equal(show({ quantity: "ratio" }, 0.5), "50%");
  assert.equal(show({ quantity: "ratio", unit: "%", decimals: 0 }, 50), "50%");
  assert.equal(show({ quantity: "switch" }, true), "yes");
  assert.equal(show({ quantity: "switch", setBy: "lamp" }, false), "off");
  assert.equal(show({ quantity: "time" }, "2026-11-30T04:05:06.000Z"), "04:05:06 UTC");
  assert.equal(show({ quantity: "time" }, "2026-11-29T04:05:06.000Z"), "2026-11-29 04:05 UTC");
  assert.equal(show({ quantity: "duration", unit: "s" }, 75), "75 s");
  assert.equal(show({ many: true, unit: "A" }, [1, null, 2.25]), "1.0, –, 2.3A");
  assert.equal(show({ many: true }, []), "none");
  assert.equal(show({ quantity: "word", words: [{ word: "a", label: "An a", tone: "good" }] }, "a"), "An a");
  assert.equal(show({ quantity: "word" }, "not_known"), "not known");
});

test("a value of another type than its property says is not known", () => {
  for (const [quantity, value] of [["temperature", "12"], ["switch", 1], ["time", 5], ["text", {}], ["word", null], ["number", Number.NaN]] as const) {
    assert.equal(show({ quantity }, value), "–");
  }
  assert.equal(show({ many: true }, 5), "–");
});

test("numbers and spans never grow long", () => {
  for (const value of [1e308, -1e308, 1e-300, 123456789.123]) assert.ok(figure(value, null).length < 14, figure(value, null));
  assert.deepEqual([0.04, 9.94, 60, 100, 5999, 6000, 400_000, 1e300].map(span), ["0 s", "9.9 s", "60 s", "1 min 40 s", "99 min 59 s", "1 h 40 min", "4 d", "very long"]);
  assert.equal(time(Date.parse("2026-01-01T00:00:00Z"), Date.parse("2026-01-01T09:00:00Z")), "00:00:00");
});

test("of two clocks the one that says older is believed", () => {
  const then = { steady: 1000, wall: 50_000 };
  assert.equal(since(then, { steady: 3000, wall: 52_000 }), 2);
  // The computer slept, and then somebody set the clock back.
  assert.equal(since(then, { steady: 1000, wall: 650_000 }), 600);
  assert.equal(since(then, { steady: 4000, wall: 10_000 }), 3);
});

test("the difference of the clocks is the least delayed of the recent messages", () => {
  const offset = new Offset();
  for (const delay of [800, 3, 90]) offset.heard(100_000 - delay + 5000, { steady: 0, wall: 100_000 });
  assert.equal(offset.milliseconds, 4997);
  const right = new Offset();
  for (const delay of [800, 300, 90]) right.heard(100_000 - delay, { steady: 0, wall: 100_000 });
  assert.equal(right.milliseconds, 0, "a delay alone is no difference");
});

const PAGE = { protocol: "https:", host: "panel.example.org", hostname: "panel.example.org", search: "" };

test("an address is completed, and a wrong one is told what is right", () => {
  const url = (written: string): string => {
    const found = address(written, PAGE);
    return "url" in found ? found.url : found.wrong;
  };
  assert.equal(url("broker.example.org:9443"), "wss://broker.example.org:9443/mqtt");
  assert.equal(url("https://broker.example.org/bus"), "wss://broker.example.org/bus");
  assert.equal(url("127.0.0.1:9001"), "ws://127.0.0.1:9001/mqtt");
  assert.match(url("ws://broker.example.org"), /came over https/);
  assert.match(url("mqtt://broker.example.org"), /begins with wss/);
  assert.match(url("wss://a:b@broker.example.org"), /leave them out/);
  assert.match(url("wss://"), /not an address/);
  assert.match(url(" "), /missing/);
  assert.equal(guessedAddress(PAGE), "wss://panel.example.org/mqtt");
  assert.equal(guessedAddress({ ...PAGE, protocol: "file:" }), "");
  assert.equal(guessedAddress({ ...PAGE, search: "?broker=wss://b:1" }), "wss://b:1");
});

test("the certificate is not blamed where the page itself came by it", () => {
  assert.equal(remedies("wss://panel.example.org/mqtt", PAGE).length, 1);
  assert.match(remedies("wss://broker.example.org:9443/mqtt", PAGE)[1]?.words ?? "", /certificate/);
  assert.match(remedies("ws://127.0.0.1:9001/mqtt", PAGE)[1]?.words ?? "", /TLS/);
});

test("only topics of the bus are places", () => {
  assert.deepEqual(place("clasp/chiller/state"), { site: "clasp", device: "chiller", what: "state" });
  assert.deepEqual(place("clasp/chiller/reply/web-a/x"), { site: "clasp", device: "chiller", what: "reply" });
  for (const topic of ["", "clasp", "clasp/chiller", "clasp/chiller/command/a/b", "clasp/chiller/state/x", "Clasp/chiller/state", "clasp//state", "clasp/chiller/reply/a"]) {
    assert.equal(place(topic), null, topic);
  }
});
