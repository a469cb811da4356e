/** A tone as a shape, since a colour alone is not seen by everybody, and not at night. */

import type { Tone } from "../description";

const SHAPES: Record<Tone, preact.JSX.Element> = {
  good: <circle cx="8" cy="8" r="5.5" />,
  busy: <path d="M3 2.5 13 8 3 13.5Z" />,
  warning: <path d="M8 1.5 15 14H1Z" />,
  bad: <path d="M2 2h12v12H2Z" />,
  off: <circle cx="8" cy="8" r="5" fill="none" stroke="currentColor" stroke-width="2" />,
};

export function Mark({ tone }: { tone: Tone }): preact.JSX.Element {
  return (
    <svg class={`mark ${tone}`} viewBox="0 0 16 16" aria-hidden="true">
      {SHAPES[tone]}
    </svg>
  );
}

/** Attentions have severities, not tones. */
export function toneOfSeverity(severity: string): Tone {
  if (severity === "alarm" || severity === "error" || severity === "critical") return "bad";
  return severity === "info" ? "off" : "warning";
}
