/** What happened, newest first. */

import { useState } from "preact/hooks";

import { now } from "../clock";
import type { Device } from "../device";
import { time } from "../figure";
import { Mark, toneOfSeverity } from "./mark";

const FEW = 8;

export function Events({ device }: { device: Device }): preact.JSX.Element {
  const [all, setAll] = useState(false);
  const { events } = device;
  const today = now().wall;
  return (
    <section class="events" aria-label={`${device.name}: events`}>
      <h4>Events</h4>
      {events.length === 0 && <p class="none">None yet.</p>}
      <ol>
        {events.slice(0, all ? events.length : FEW).map((event) => (
          <li key={event.key} class={toneOfSeverity(event.severity)}>
            <time dateTime={event.date === null ? "" : new Date(event.date).toISOString()}>{event.date === null ? "–" : time(event.date, today)}</time>
            {event.severity === "info" ? <span class="mark" /> : <Mark tone={toneOfSeverity(event.severity)} />}
            <bdi>{event.message}</bdi>
          </li>
        ))}
      </ol>
      {events.length > FEW && (
        <button type="button" class="quiet" aria-expanded={all} onClick={() => setAll(!all)}>
          {all ? "Fewer events" : `All ${events.length} events`}
        </button>
      )}
    </section>
  );
}
