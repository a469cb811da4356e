/** What all views share: the panel, and how a view follows a part of it. */

import { createContext } from "preact";
import { useContext, useEffect, useReducer } from "preact/hooks";

import type { Panel } from "../panel";
import type { Ask } from "./question";

export interface Shared {
  panel: Panel;
  ask: Ask;
}

export const SharedContext = createContext<Shared | null>(null);

export function useShared(): Shared {
  const shared = useContext(SharedContext);
  if (!shared) throw new Error("a view stands outside of the page");
  return shared;
}

/** Draws the view again when `what` has changed: a device's key, `list`, `bar`, `spoken`. */
export function useFollow(panel: Panel, what: string): void {
  const [, again] = useReducer((count: number) => count + 1, 0);
  useEffect(() => panel.painter.follow(what, () => again(undefined)), [panel, what]);
}
