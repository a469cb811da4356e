/** Presence, ages, requests and series: what decides, without a browser. */

import assert from "node:assert/strict";
import { test } from "node:test";

import type { Moment } from "../../src/clock";
import { describe, type Verb } from "../../src/description";
import { Device, type Arrival } from "../../src/device";
import * as request from "../../src/request";
import { axes } from "../../src/view/scale";

const START = Date.parse("2026-11-30T12:00:00Z");
const moment = (seconds: number): Moment => ({ steady: seconds * 1000, wall: START + seconds * 1000 });
const iso = (seconds: number): string => new Date(START + seconds * 1000).toISOString();
const live = (seconds: number): Arrival => ({ at: moment(seconds), stored: false, expiry: null });

function device(arrival = live(0), published = 0, read = -1): Device {
  const made = new Device("clasp", "wheel");
  made.hearAvailability("online");
  made.hearState({ status: "idle", published_at: iso(published), date: iso(read), stale_after_s: 30, connected: true }, arrival);
  return made;
}

test("a state is live until it is older than it says itself", () => {
  const wheel = device();
  assert.equal(wheel.presence(moment(0), moment(29)), "live");
  assert.equal(wheel.presence(moment(0), moment(31)), "stale");
  assert.equal(wheel.readingAge(moment(10)), 11);
});

test("without connection, with its bridge gone or silent, nothing is live", () => {
  const wheel = device();
  assert.equal(wheel.presence(null, moment(1)), "unconnected");
  wheel.hearAvailability("offline");
  assert.equal(wheel.presence(moment(0), moment(1)), "gone");
  wheel.hearAvailability("maybe");
  assert.equal(wheel.presence(moment(0), moment(1)), "waiting");
  assert.equal(wheel.presence(moment(0), moment(6)), "silent");
  wheel.hearAvailability("online");
  wheel.connectionLost();
  assert.ok(wheel.isDevice, "a device does not vanish with the connection, though its meta never came");
  wheel.hearAvailability("");
  assert.ok(!wheel.isDevice, "what the broker was told to forget does");
  wheel.hearAvailability("online");
  assert.equal(wheel.presence(moment(2), moment(3)), "live");
});

test("the age of a stored state is what its expiry says, whatever the clocks say", () => {
  // This clock is an hour ahead; the broker says that 10 of 30 seconds are left.
  const wheel = device({ at: moment(3600), stored: true, expiry: 10 }, 0, -1);
  assert.equal(wheel.publishedAge(moment(3600)), 20);
  assert.equal(wheel.readingAge(moment(3601)), 22);
  assert.equal(wheel.presence(moment(3600), moment(3611)), "stale");
});

test("a verb that needs a signature is known as such, and one of an older bridge is not", () => {
  const { verbs } = describe({ verbs: [{ name: "set", needs_signature: true }, { name: "init" }] });
  assert.deepEqual(verbs.map(({ needsSignature }) => needsSignature), [true, false]);
});

test("a stored state without an expiry is judged by its date", () => {
  assert.equal(device({ at: moment(100), stored: true, expiry: null }).publishedAge(moment(100)), 100);
});

test("a stale_after_s that cannot be is none", () => {
  for (const wrong of [0, -5, 1e9, "30", null, Number.NaN]) {
    const wheel = new Device("clasp", "wheel");
    wheel.hearState({ stale_after_s: wrong }, live(0));
    assert.equal(wheel.state?.staleAfter, 30);
  }
});

const PLAIN = { optional: false, unit: null, minimum: null, maximum: null, step: null };
const VERB: Verb = {
  name: "set",
  label: "Set",
  isQuery: false,
  isStop: false,
  needsSignature: false,
  question: null,
  timeout: 10,
  arguments: [
    { ...PLAIN, name: "to", label: "To", kind: "number", minimum: -5, maximum: 5 },
    { ...PLAIN, name: "slow", label: "Slow", kind: "flag", optional: true },
  ],
};

test("fields are read as the bus wants them, or it is said what would be right", () => {
  const read = (to: string, slow = false): unknown => {
    const found = request.read(VERB, new Map<string, string | boolean>([["to", to], ["slow", slow]]));
    return "values" in found ? Object.fromEntries(found.values) : found.wrong;
  };
  assert.deepEqual(read(" -1,5 "), { to: -1.5 });
  assert.deepEqual(read("\u22122", true), { to: -2, slow: true });
  for (const wrong of ["", "x", "1e3", "0x10", "1.2.3", "1,000.5", "Infinity", "5.1", "-6"]) assert.match(String(read(wrong)), /It may be -5 to 5\./, wrong);
});

test("an argument cannot take the place of the id or the time", () => {
  const sent = JSON.parse(request.payload("mine", START, [["id", "theirs"], ["ts", "never"], ["ttl_s", 9999]])) as Record<string, unknown>;
  assert.deepEqual(sent, { id: "mine", ts: iso(0), ttl_s: 10 });
});

test("a request ends in words: accepted, done, refused with the reason", () => {
  const sent = request.sent("a", "clasp/wheel", "set", moment(0));
  const accepted = request.answered(sent, { status: "accepted", received_at: iso(0), deadline: iso(20) }, moment(0.1));
  assert.deepEqual([accepted.stage, accepted.text], ["accepted", "Accepted; it ends within 20 s."]);
  assert.equal(request.answered(accepted, { status: "succeeded", code: 0, message: "" }, moment(3)).text, "Done after 3 s.");
  const refused = request.answered(sent, { status: "rejected", code: 3, reason: "not_authorised", message: "you may not" }, moment(1));
  assert.deepEqual([refused.stage, refused.text], ["refused", "Refused: you may not. (not authorised, code 3)"]);
  assert.equal(request.answered(refused, { status: "succeeded", code: 0 }, moment(2)), refused, "a verdict is final");
});

test("what the broker says is an answer only if it refuses", () => {
  const sent = request.sent("a", "clasp/wheel", "set", moment(0));
  assert.equal(request.acknowledged(sent, 0), sent);
  assert.match(request.acknowledged(sent, 0x10).text, /Nobody listens/);
  assert.match(request.acknowledged(sent, 0x87).text, /does not let you command/);
  assert.match(request.acknowledged(sent, 0x97).text, /0x97/);
});

test("waiting has an end, and says what to do then", () => {
  const sent = request.sent("a", "clasp/wheel", "set", moment(0));
  assert.equal(request.waited(sent, moment(2)), sent);
  assert.match(request.waited(sent, moment(5)).text, /no answer for 5 s/);
  const unknown = request.waited(sent, moment(11.5));
  assert.equal(unknown.stage, "unknown");
  assert.match(unknown.text, /not known: look at the status/);
  assert.equal(request.answered(unknown, { status: "succeeded" }, moment(30)).stage, "done");
});

test("a reply that was lost is found in the events or the state, of the own request alone", () => {
  const last = { id: "a", by: "web-a", verb: "set", outcome: "succeeded", code: 0, date: null };
  const sent = request.answered(request.sent("a", "clasp/wheel", "set", moment(0)), { status: "accepted" }, moment(0));
  assert.equal(request.remembered(sent, last, "web-a", true).stage, "done");
  assert.equal(request.remembered(sent, { ...last, code: 1 }, "web-a", true).stage, "failed");
  for (const [other, me, stored] of [[{ ...last, id: "b" }, "web-a", true], [last, "web-b", true], [{ ...last, code: null }, "web-a", true], [last, "web-a", false]] as const) {
    assert.equal(request.remembered(sent, other, me, stored), sent);
  }
});

test("the chart joins the stored day and what came live, in order and without doubles", () => {
  const wheel = device();
  wheel.hearMeta({ properties: [{ key: "t", history: true, unit: "degC" }] });
  wheel.hearHistory({ from: iso(-3600), bin_s: 300, columns: { t: [1, null, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13] }, status: Array.from({ length: 13 }, () => "idle") });
  for (const [at, value] of [[10, 20], [10.2, 21], [10.9, 22], [40, 23]] as const) wheel.hearState({ t: value, status: "busy", date: iso(at), published_at: iso(at) }, live(at));
  const { times, columns } = wheel.series.chart();
  assert.deepEqual([...times].sort((one, other) => one - other), times);
  assert.deepEqual(columns[0], [1, null, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 20, 22, 23]);
  assert.deepEqual(wheel.series.stretches().map(({ status }) => status), ["idle", "busy"]);
  wheel.connectionLost();
  assert.equal(wheel.series.chart().columns[0]?.at(-1), null, "a gap");
});

test("a CSV holds no formula", () => {
  const wheel = device();
  wheel.hearMeta({ properties: [{ key: "=cmd|' /C calc'!A0", history: true, unit: '"x' }] });
  assert.match(wheel.series.csv(), /^"time_utc","'=cmd\|' \/C calc'!A0 \[""x\]"/);
});

test("an axis is found by what properties and verbs say, and only if its ends are known", () => {
  const position = { key: "at", quantity: "position", unit: "mm", role: "headline" };
  const target = { key: "to", quantity: "position", unit: "mm", role: "setting", set_by: "set" };
  const set = (minimum: unknown, maximum: unknown): unknown => ({ name: "set", arguments: [{ name: "mm", kind: "number", unit: "mm", minimum, maximum }] });
  const found = (...verbs: unknown[]) => axes(describe({ properties: [position, target], verbs }));
  assert.deepEqual(found(set(0, 6)).map(({ from, to, target }) => [from, to, target?.key]), [[0, 6, "to"]]);
  for (const verbs of [[], [set(6, 0)], [set(null, 6)], [set("0", 6)]]) assert.deepEqual(found(...verbs), []);
});
