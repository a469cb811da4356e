/** What stays on top: the connection, what needs attention, the stop, the colours. */

import { real, since } from "../clock";
import type { Device } from "../device";
import { age } from "../figure";
import type { Panel } from "../panel";
import { remedies } from "../address";
import { isBad } from "../request";
import { useFollow, useShared } from "./paint";

export const THEMES = ["light", "dark", "night"] as const;
export type Theme = (typeof THEMES)[number];
const NAMES: Record<Theme, string> = { light: "Day", dark: "Dark", night: "Red night" };

/** Every device with a stop, and its stops. */
export const stoppable = (devices: Device[]): Device[] =>
  devices.filter(({ description }) => description?.verbs.some(({ isStop }) => isStop));

export function stopAll(panel: Panel, devices: Device[]): void {
  for (const device of stoppable(devices)) {
    for (const verb of device.description?.verbs ?? []) if (verb.isStop) panel.press(device, verb, []);
  }
}

interface Props {
  devices: Device[];
  broker: string;
  theme: Theme;
  choose: (theme: Theme) => void;
  logout: () => void;
}

export function Bar({ devices, broker, theme, choose, logout }: Props): preact.JSX.Element {
  const { panel } = useShared();
  useFollow(panel, "bar");
  const stops = stoppable(devices);
  const requests = stops.flatMap((device) =>
    (device.description?.verbs ?? []).filter(({ isStop }) => isStop).map((verb) => ({ device, request: panel.request(device, verb) })),
  );
  const bad = requests.filter(({ request }) => request && isBad(request));
  const [one] = stops;
  return (
    <header class="bar">
      <h1>obsbus</h1>
      <Connection broker={broker} />
      <div class="themes" role="group" aria-label="Colours">
        {THEMES.map((known) => (
          <button type="button" key={known} class="quiet" aria-pressed={theme === known} onClick={() => choose(known)}>
            {NAMES[known]}
          </button>
        ))}
      </div>
      {!panel.replay && (
        <button type="button" class="quiet logout" onClick={logout} title="Log out, and forget a kept password">
          {panel.identity} <span aria-hidden="true">·</span> log out
        </button>
      )}
      {one && (
        <div class="stopping all">
          <button type="button" class="stop" aria-keyshortcuts="Escape" onClick={() => stopAll(panel, devices)}>
            {stops.length === 1 ? `Stop ${one.name}` : `Stop all ${stops.length}`} <kbd>Esc</kbd>
          </button>
          {bad.map(({ device, request }) => (
            <p key={device.key} class="answer bad">
              {device.name}: {request?.text}
            </p>
          ))}
        </div>
      )}
    </header>
  );
}

function Connection({ broker }: { broker: string }): preact.JSX.Element {
  const { panel } = useShared();
  const { connection, lostAt } = panel;
  const at = real();
  const skew = Math.round(panel.offset.milliseconds / 1000);
  if (connection?.is === "connected") {
    return (
      <p class="connection good" data-connection="connected">
        {panel.replay ? "Connected to the replay" : "Connected"}
        {skew !== 0 && (
          <span class="skew">
            {" "}
            This computer's clock is {age(Math.abs(skew))} {skew > 0 ? "behind" : "ahead of"} the bridges': commands carry their time.
          </span>
        )}
      </p>
    );
  }
  const wait = connection?.is === "lost" ? Math.max(Math.ceil((connection.retry.wall - at.wall) / 1000), 0) : 0;
  const hopeless = !lostAt && (connection?.is === "lost" || (connection?.is === "connecting" && connection.attempt > 1));
  return (
    <div class="connection bad" data-connection={connection?.is}>
      <p>
        {lostAt ? `No connection to the broker for ${age(since(lostAt, at))}. What is shown is old. ` : ""}
        {!lostAt && (hopeless ? `No connection to ${broker} yet. ` : "Connecting … ")}
        {connection?.is === "lost" && connection.why && `(${connection.why}) `}
        {connection?.is === "lost" ? `Next attempt in ${wait} s.` : lostAt && "Trying …"}{" "}
        {connection?.is === "lost" && (
          <button type="button" class="quiet" onClick={() => panel.retry()}>
            Try now
          </button>
        )}
      </p>
      {(hopeless || (lostAt && since(lostAt, at) > 20)) && (
        <ul>
          {remedies(broker, window.location).map(({ words, link }) => (
            <li key={words}>
              {words}{" "}
              {link && (
                <a href={link} target="_blank" rel="noreferrer noopener">
                  {link}
                </a>
              )}
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}
