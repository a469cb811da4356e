/** Ages on this page's own clock. Pure: the time is always an argument. */

/** One moment on both clocks of a browser, in milliseconds. */
export interface Moment {
  /** Never jumps, but in some browsers stands still while the computer sleeps. */
  steady: number;
  /** Runs through sleep, but somebody may set it. */
  wall: number;
}

/** Of this computer. */
export const real = (): Moment => ({ steady: performance.now(), wall: Date.now() });

/** The time that a replay shows, in milliseconds since 1970. */
let replayed: number | null = null;

/** A replay's time stands still until it is told again, and never goes back; `null`: it is not known. */
export function replayTo(time: number | null): void {
  replayed = time === null ? null : Math.max(replayed ?? time, time);
}

export const at = (time: number): Moment => ({ steady: time, wall: time });

/** Of what this page shows: of this computer, or of the record that is replayed. */
export const now = (): Moment => (replayed === null ? real() : at(replayed));

/** Seconds. Of the two clocks the one that says more: too old is safe, too young is not. */
export function since(then: Moment, at: Moment): number {
  return Math.max(at.steady - then.steady, at.wall - then.wall, 0) / 1000;
}

/**
 * By how much the bridges' clocks are ahead of this one, in milliseconds. A message can only arrive
 * late, so the largest of the recent differences is the nearest to the truth.
 */
export class Offset {
  private samples: number[] = [];

  heard(published: number, at: Moment): void {
    this.samples.push(published - at.wall);
    if (this.samples.length > 20) this.samples.shift();
  }

  /** 0 while nothing was heard, and where the difference may be the way of the message alone. */
  get milliseconds(): number {
    if (this.samples.length < 3) return 0;
    const ahead = Math.max(...this.samples);
    return Math.abs(ahead) < 500 ? 0 : ahead;
  }

  clear(): void {
    this.samples = [];
  }
}
