/**
 * A command from the press to its verdict, in words. Pure: the time is an argument.
 *
 *     press -> unsent                                  there is no connection: nothing is kept for later
 *           -> sent -> accepted -> done | failed | refused
 *                  \-> done | failed | refused
 *                  \-> unknown                         no word in time; a late one still counts
 */

import { since, type Moment } from "./clock";
import type { Argument, Verb } from "./description";
import type { Happening, LastCommand } from "./device";
import { figure, span, unit } from "./figure";
import { date, number, text, type Table } from "./payload";

/** For how long a command is meant, in seconds: after that its bridge and the broker refuse it. */
export const TIME_TO_LIVE = 10;
/** Nothing in this time is worth a word, in seconds. */
const SLOW = 3;

export type Stage = "unsent" | "sent" | "accepted" | "done" | "failed" | "refused" | "unknown";

export interface Request {
  id: string;
  device: string;
  verb: string;
  stage: Stage;
  text: string;
  at: Moment;
  /** Seconds after `at` by which something must have been heard. */
  limit: number;
}

export type Given = Map<string, string | boolean>;
export type Values = [name: string, value: string | number | boolean][];

/** What stands in the fields, as the bus wants it; or what is wrong with it. */
export function read(verb: Verb, given: Given): { values: Values } | { wrong: string; argument: string } {
  const values: Values = [];
  for (const argument of verb.arguments) {
    const field = given.get(argument.name);
    const found = one(argument, typeof field === "string" ? field.trim() : (field ?? ""));
    if ("wrong" in found) return { wrong: found.wrong, argument: argument.name };
    if (found.value !== null) values.push([argument.name, found.value]);
  }
  return { values };
}

type One = { value: string | number | boolean | null } | { wrong: string };

function one(argument: Argument, field: string | boolean): One {
  if (argument.kind === "flag") return { value: field === true ? true : null };
  if (field === "" || typeof field === "boolean") {
    return argument.optional ? { value: null } : { wrong: `${argument.label}: nothing is given. ${may(argument)}` };
  }
  if (argument.kind !== "number") return { value: field };
  // A comma is what half of the world's keyboards have.
  const written = field.replace(",", ".").replace("−", "-");
  const value = Number(written);
  if (!/^[-+]?(\d+\.?\d*|\.\d+)$/.test(written) || !Number.isFinite(value)) {
    return { wrong: `${argument.label}: this is not a number. ${may(argument)}` };
  }
  const { minimum, maximum } = argument;
  const isOutside = (minimum !== null && value < minimum) || (maximum !== null && value > maximum);
  return isOutside ? { wrong: `${argument.label}: ${written} is outside the limits. ${may(argument)}` } : { value };
}

/** What an argument may be, as a sentence. */
export function may(argument: Argument): string {
  switch (argument.kind) {
    case "flag":
      return "";
    case "choice":
    case "name":
      return argument.choices.length > 0 ? `It may be ${argument.choices.map(({ label }) => label).join(", ")}.` : "";
    case "number": {
      const [from, to] = [argument.minimum, argument.maximum].map((end) => (end === null ? null : figure(end, null)));
      const of = unit(argument.unit);
      if (from !== null && to !== null) return `It may be ${from} to ${to}${of && ` ${of}`}.`;
      if (from !== null) return `It may be ${from}${of && ` ${of}`} or more.`;
      return to === null ? "" : `It may be ${to}${of && ` ${of}`} at most.`;
    }
  }
}

/** The payload of a command. `at` is the time on the bridges' clock, in milliseconds. */
export function payload(id: string, at: number, values: Values): string {
  return JSON.stringify({
    ...Object.fromEntries(values),
    id,
    ts: new Date(at).toISOString(),
    ttl_s: TIME_TO_LIVE,
  });
}

export function sent(id: string, device: string, verb: string, at: Moment): Request {
  return { id, device, verb, at, stage: "sent", text: "Sent; no answer yet.", limit: TIME_TO_LIVE + 1 };
}

export function unsent(id: string, device: string, verb: string, at: Moment, why: string): Request {
  return { id, device, verb, at, stage: "unsent", text: `Not sent: ${why}`, limit: 0 };
}

/** Whether somebody should look. */
export const isBad = ({ stage }: Request): boolean =>
  stage === "unsent" || stage === "failed" || stage === "refused" || stage === "unknown";

const isOpen = (request: Request): boolean =>
  request.stage === "sent" || request.stage === "accepted" || request.stage === "unknown";

/** What the broker said to it: an acknowledgement is never acceptance, but a refusal is one. */
export function acknowledged(request: Request, code: number): Request {
  if (request.stage !== "sent") return request;
  if (code === 0x10) {
    return { ...request, stage: "refused", text: "Nobody listens: the bridge of this device is not connected to the broker." };
  }
  if (code === 0x87) return { ...request, stage: "refused", text: "Refused: the broker does not let you command." };
  return code >= 0x80 ? { ...request, stage: "refused", text: `Refused by the broker (0x${code.toString(16)}).` } : request;
}

const because = (of: Table): string => {
  const reason = text(of["reason"], 60)?.replaceAll("_", " ") ?? "";
  const code = number(of["code"]);
  const message = text(of["message"], 400) || reason || "no reason is given";
  return `${message}${/[.!?]$/.test(message) ? "" : "."}${code === null ? "" : ` (${reason ? `${reason}, ` : ""}code ${code})`}`;
};

/** What the bridge said to it. */
export function answered(request: Request, reply: Table, at: Moment): Request {
  if (!isOpen(request)) return request;
  const took = span(since(request.at, at));
  switch (reply["status"]) {
    case "accepted":
    case "in_progress": {
      const from = date(reply["received_at"]);
      const to = date(reply["deadline"]);
      // Both are of the bridge's clock.
      const left = from === null || to === null ? 60 : Math.min(Math.max((to - from) / 1000, 1), 3600);
      return { ...request, stage: "accepted", text: `Accepted; it ends within ${span(left)}.`, limit: since(request.at, at) + left + 5 };
    }
    case "succeeded": {
      const message = text(reply["message"], 400);
      return { ...request, stage: "done", text: `Done after ${took}${message ? `: ${message}` : "."}` };
    }
    case "rejected":
      return { ...request, stage: "refused", text: `Refused: ${because(reply)}` };
    case "timed_out":
      return { ...request, stage: "failed", text: `Not done in time: ${because(reply)}` };
    case "stopped":
      return { ...request, stage: "failed", text: `Ended by another command: ${because(reply)}` };
    case "failed":
      return { ...request, stage: "failed", text: `Failed: ${because(reply)}` };
    default:
      return request;
  }
}

/**
 * What the device's event, or else its state, says of it: for a reply that was lost with a connection.
 * A live one of either comes beside the reply, which says it better; `stored` ones come after a loss.
 */
const isLost = (request: Request, stored: boolean): boolean =>
  request.stage === "unknown" || ((request.stage === "accepted" || request.stage === "sent") && stored);

export function reported(request: Request, event: Happening, identity: string, stored: boolean): Request {
  const isIts = event.kind === "command" && event.id === request.id && event.by === identity && event.code !== null;
  if (!isIts || !isLost(request, stored)) return request;
  return { ...request, stage: event.code === 0 ? "done" : "failed", text: `The device's events say: ${event.message}` };
}

export function remembered(request: Request, last: LastCommand, identity: string, stored: boolean): Request {
  const isIts = last.id === request.id && last.by === identity && last.code !== null;
  if (!isIts || !isLost(request, stored)) return request;
  const outcome = (last.outcome ?? "ended").replaceAll("_", " ");
  return { ...request, stage: last.code === 0 ? "done" : "failed", text: `The device's state says: ${outcome} (code ${last.code}).` };
}

/** What the time makes of it. */
export function waited(request: Request, at: Moment): Request {
  if (request.stage !== "sent" && request.stage !== "accepted") return request;
  const seconds = since(request.at, at);
  if (seconds > request.limit) {
    const heard = request.stage === "sent" ? "No answer" : "It was accepted, but no verdict came";
    const instead = "Whether it was carried out is not known: look at the status and at the last command before you press again.";
    return { ...request, stage: "unknown", text: `${heard} in ${span(Math.floor(seconds))}. ${instead}` };
  }
  if (request.stage === "sent" && seconds > SLOW) {
    return { ...request, text: `Sent; no answer for ${span(Math.floor(seconds))}.` };
  }
  return request;
}
