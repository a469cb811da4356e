/** What a screen reader is told of the devices without being asked. Pure, but for what it said before. */

import type { Device, Presence } from "./device";

export interface Spoken {
  polite: string;
  urgent: string;
}

const LOST: Partial<Record<Presence, string>> = {
  gone: "its bridge is offline",
  silent: "its bridge is silent",
  stale: "its state is old",
};
/** More at once would be read for minutes. */
const MOST = 4;

const told = new WeakMap<Device, Set<string>>();

export function announcements(before: Map<string, Presence>, now: Map<string, Presence>, devices: Device[]): Spoken {
  const urgent: string[] = [];
  const polite: string[] = [];
  for (const device of devices) {
    const name = device.name;
    const [was, is] = [before.get(device.key), now.get(device.key)];
    if (was === "live" && is && LOST[is]) urgent.push(`${name}: ${LOST[is]}`);
    if (was && is === "live" && LOST[was]) polite.push(`${name} is back`);
    const texts = new Set(is === "live" ? device.state?.attentions.map(({ text }) => text) : (told.get(device) ?? []));
    const known = told.get(device);
    for (const text of texts) if (!known?.has(text)) urgent.push(`${name}: ${text}`);
    told.set(device, texts);
  }
  return { polite: joined(polite), urgent: joined(urgent) };
}

function joined(sentences: string[]): string {
  const more = sentences.length - MOST;
  return sentences.slice(0, MOST).join(". ") + (more > 0 ? `. And ${more} more` : "");
}
