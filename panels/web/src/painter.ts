/**
 * Paints what has changed, a little in each frame, so that a hundred devices that speak at the same
 * moment do not make the page stand still.
 */

import { options } from "preact";

const BUDGET = 6;

let draw: (() => void) | null = null;

function flush(): void {
  const waiting = draw;
  draw = null;
  waiting?.();
}

// As Preact does it by itself, but the painter need not wait for it: it must know how long it took.
options.debounceRendering = (drawing) => {
  draw = drawing;
  queueMicrotask(flush);
};

export class Painter {
  private readonly waiting = new Set<() => void>();
  private readonly followers = new Map<string, Set<() => void>>();
  private isScheduled = false;

  /** `paint` is called after each `changed(what)`, until what is returned is called. */
  follow(what: string, paint: () => void): () => void {
    const followers = this.followers.get(what) ?? new Set();
    this.followers.set(what, followers.add(paint));
    return () => {
      followers.delete(paint);
      this.waiting.delete(paint);
    };
  }

  changed(what: string): void {
    for (const paint of this.followers.get(what) ?? []) this.waiting.add(paint);
    this.schedule();
  }

  changedAll(): void {
    for (const what of this.followers.keys()) this.changed(what);
  }

  private schedule(): void {
    if (this.isScheduled || this.waiting.size === 0) return;
    this.isScheduled = true;
    requestAnimationFrame(() => this.run());
  }

  private run(): void {
    this.isScheduled = false;
    const end = performance.now() + BUDGET;
    for (const paint of this.waiting) {
      this.waiting.delete(paint);
      paint();
      flush();
      if (performance.now() > end) break;
    }
    this.schedule();
  }
}
