/** What a topic's text says. Nothing else in this page takes one apart or puts one together. */

const NAME = /^[a-z0-9_-]{1,64}$/;
const VERB = /^[a-z0-9_]{1,32}$/;

/** What a device publishes about itself. */
export const PUBLISHED = ["state", "availability", "health", "meta", "history", "recent", "event"] as const;
export type Published = (typeof PUBLISHED)[number];

/** Where a message came from: a device, and what kind of message it is. */
export interface Place {
  site: string;
  device: string;
  what: Published | "reply";
}

/** Whether the broker and the bridges accept this as an identity, a site or a device. */
export const isName = (text: string): boolean => NAME.test(text);

/** Whether this can be the name of a verb or of an argument. */
export const isVerb = (text: string): boolean => VERB.test(text);

/** `null` for what is no topic of a device. */
export function place(topic: string): Place | null {
  const [site = "", device = "", what = "", ...rest] = topic.split("/");
  if (!isName(site) || !isName(device)) return null;
  if (what === "reply" && rest.length === 2) return { site, device, what };
  const published = PUBLISHED.find((known) => known === what);
  return published && rest.length === 0 ? { site, device, what: published } : null;
}

const REPLAY = "replay/";
export const REPLAY_CLOCK = `${REPLAY}clock`;
/** Everything of a replay; nothing of a site begins so. */
export const REPLAYED = [`${REPLAY}#`];

/** What a panel of this identity listens to. */
export function subscriptions(identity: string): string[] {
  return [...PUBLISHED.map((what) => `+/+/${what}`), `+/+/reply/${identity}/+`];
}

export const command = (device: { site: string; name: string }, identity: string, verb: string): string =>
  `${device.site}/${device.name}/command/${identity}/${verb}`;

export const reply = (device: { site: string; name: string }, identity: string, id: string): string =>
  `${device.site}/${device.name}/reply/${identity}/${id}`;
