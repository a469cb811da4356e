/** One device: what it does, large; then its values, and, if it is open, all the rest. */

import { useId } from "preact/hooks";

import { now } from "../clock";
import type { Property, Verb } from "../description";
import type { Device, Presence } from "../device";
import { age, shown, time } from "../figure";
import { at } from "../payload";
import { Charts } from "./chart";
import { Answer, Command } from "./command";
import { Events } from "./events";
import { Mark, toneOfSeverity } from "./mark";
import { useFollow, useShared } from "./paint";
import { axes, Motion, Scale } from "./scale";

interface Props {
  device: Device;
  open: boolean;
  alone: boolean;
  theme: string;
  toggle: () => void;
}

export function DeviceCard({ device, open, alone, theme, toggle }: Props): preact.JSX.Element {
  const { panel } = useShared();
  useFollow(panel, device.key);
  const title = useId();
  const { description, state } = device;
  const presence = panel.presence(device);
  const live = presence === "live";
  const stops = description?.verbs.filter(({ isStop }) => isStop) ?? [];
  const tone = live ? (state?.tone ?? "off") : presence === "waiting" ? "off" : "bad";
  return (
    <article class={`device ${open ? "open" : ""} ${live ? "live" : "not-live"} tone-${tone}`} aria-labelledby={title} data-device={device.key}>
      <header>
        <h3 id={title}>
          <a href={alone ? "#" : `#${device.key}`} title={alone ? "Show all devices" : "Show this device alone"}>
            {device.name}
          </a>
        </h3>
        <span class="model">
          <bdi>{description && [description.label, description.model].filter(Boolean).join(", ")}</bdi>
        </span>
        {!alone && (
          <button type="button" class="quiet more" aria-expanded={open} aria-label={`${open ? "Less" : "More"} of ${device.name}`} onClick={toggle}>
            {open ? "Less" : "More"}
          </button>
        )}
        {stops.map((verb) => (
          <StopButton key={verb.name} device={device} verb={verb} />
        ))}
      </header>
      <Attentions device={device} live={live} />
      <Status device={device} presence={presence} />
      <Headlines device={device} live={live} />
      {description && axes(description).map((axis) => <Scale key={axis.position.key} device={device} axis={axis} live={live} />)}
      {description && live && <Motion device={device} description={description} />}
      {open && description && (
        <div class="rest">
          <div class="left">
            <Charts device={device} theme={theme} />
            <Readings device={device} live={live} />
          </div>
          <div class="right">
            <Commands device={device} live={live} />
            <LastCommand device={device} />
            <Events device={device} />
          </div>
        </div>
      )}
      {open && !description && <p class="none">This device has not said what it is (no meta came).</p>}
    </article>
  );
}

/** Pressed at once, whatever the page believes of the device. */
export function StopButton({ device, verb }: { device: Device; verb: Verb }): preact.JSX.Element {
  const { panel } = useShared();
  const answer = useId();
  return (
    <div class="stopping">
      <button type="button" class="stop" aria-describedby={answer} aria-label={`${verb.label} ${device.name}`} onClick={() => panel.press(device, verb, [])}>
        <bdi>{verb.label}</bdi>
      </button>
      <Answer id={answer} request={panel.request(device, verb)} />
    </div>
  );
}

function Attentions({ device, live }: { device: Device; live: boolean }): preact.JSX.Element | null {
  const { state } = device;
  if (!state || state.attentions.length === 0) return null;
  return (
    <ul class={live ? "attentions" : "attentions old"} aria-label="Attention">
      {state.attentions.map(({ name, severity, text, since }, index) => (
        <li key={`${name}${index}`} class={toneOfSeverity(severity)}>
          <Mark tone={toneOfSeverity(severity)} />
          <span>
            <span class="sr">{severity}: </span>
            <bdi>{text}</bdi>
            {since !== null && <span class="since"> since {time(since, now().wall)} UTC</span>}
          </span>
        </li>
      ))}
      {state.moreAttentions > 0 && <li class="warning">and {state.moreAttentions} more</li>}
    </ul>
  );
}

const UNKNOWN: Record<Exclude<Presence, "live">, [label: string, why: string]> = {
  unconnected: ["NO CONNECTION", "This page is not connected to the broker."],
  waiting: ["WAITING", "Nothing has come of this device yet."],
  gone: ["BRIDGE OFFLINE", "The program that speaks for this device has ended, or has lost the broker."],
  silent: ["NO STATE", "The bridge of this device says nothing."],
  stale: ["STATE IS OLD", "The bridge of this device has gone quiet."],
};

function Status({ device, presence }: { device: Device; presence: Presence }): preact.JSX.Element {
  const { state } = device;
  if (presence === "live" && state) {
    return (
      <div class={`status ${state.tone}`} data-presence={presence}>
        <p class="label">
          <Mark tone={state.tone} />
          <bdi>{state.label}</bdi>
        </p>
        <p class="summary">
          <bdi>{state.summary}</bdi>
        </p>
      </div>
    );
  }
  const [label, why] = UNKNOWN[presence === "live" ? "waiting" : presence];
  const known = device.publishedAge(now());
  return (
    <div class={`status ${presence === "waiting" ? "off" : "bad"}`} data-presence={presence}>
      <p class="label">
        <Mark tone={presence === "waiting" ? "off" : "bad"} />
        {label}
      </p>
      <p class="summary">
        {why}
        {state && known !== null && (
          <>
            {" "}
            {age(known)} ago it was <bdi>{state.label}</bdi>.
          </>
        )}
      </p>
    </div>
  );
}

/** Old, if the last valid reading is older than the device itself allows. */
function Age({ device, live }: { device: Device; live: boolean }): preact.JSX.Element | null {
  const seconds = device.readingAge(now());
  const { state } = device;
  if (!state) return null;
  if (seconds === null) return <span class="age old">no reading</span>;
  const old = !live || seconds > state.staleAfter;
  return (
    <span class={old ? "age old" : "age"} data-age>
      {old ? "last read" : "read"} {age(seconds)} ago
    </span>
  );
}

function Value({ device, property, large, live }: { device: Device; property: Property; large?: boolean; live: boolean }): preact.JSX.Element {
  const { state } = device;
  const value = shown(property, at(state?.values, property.key), now().wall);
  const seconds = device.readingAge(now());
  const old = !live || !state?.connected || seconds === null || seconds > state.staleAfter;
  return (
    <div class={`value ${large ? "large" : ""} ${old ? "old" : ""}`} data-property={property.key}>
      <dt>
        <bdi>{property.label}</bdi>
      </dt>
      <dd>
        {value.tone && <Mark tone={value.tone} />}
        <bdi>{value.text}</bdi>
        {value.unit && <span class="unit">{value.unit}</span>}
      </dd>
    </div>
  );
}

function Headlines({ device, live }: { device: Device; live: boolean }): preact.JSX.Element | null {
  const found = device.description?.properties.filter(({ role, key }) => role === "headline" && key !== "status") ?? [];
  if (found.length === 0) return <p class="ages"><Age device={device} live={live} /></p>;
  return (
    <div class="headlines">
      <dl>
        {found.map((property) => (
          <Value key={property.key} device={device} property={property} large live={live} />
        ))}
      </dl>
      <Age device={device} live={live} />
    </div>
  );
}

function Readings({ device, live }: { device: Device; live: boolean }): preact.JSX.Element {
  const properties = device.description?.properties ?? [];
  const settable = new Set(device.description?.verbs.map(({ name }) => name));
  const readings = properties.filter(
    ({ role, setBy }) => role === "reading" || (role === "setting" && !(setBy && settable.has(setBy))),
  );
  const diagnostics = properties.filter(({ role }) => role === "diagnostic");
  return (
    <>
      {readings.length > 0 && (
        <section class="readings" aria-label={`${device.name}: readings`}>
          <h4>
            Readings <Age device={device} live={live} />
          </h4>
          <dl>
            {readings.map((property) => (
              <Value key={property.key} device={device} property={property} live={live} />
            ))}
          </dl>
        </section>
      )}
      {diagnostics.length > 0 && (
        <details class="readings">
          <summary>To look for a fault</summary>
          <dl>
            {diagnostics.map((property) => (
              <Value key={property.key} device={device} property={property} live={live} />
            ))}
          </dl>
        </details>
      )}
    </>
  );
}

function Commands({ device, live }: { device: Device; live: boolean }): preact.JSX.Element | null {
  const { panel } = useShared();
  const { properties = [], verbs = [] } = device.description ?? {};
  if (panel.replay) return null;
  const shownVerbs = verbs.filter(({ isStop }) => !isStop).sort((one, other) => Number(one.isQuery) - Number(other.isQuery));
  return (
    <section class="commands" aria-label={`${device.name}: commands`}>
      <h4>Settings and commands</h4>
      {shownVerbs.length === 0 && <p class="none">It takes no commands.</p>}
      {shownVerbs.map((verb) => (
        <Command key={verb.name} device={device} verb={verb} property={properties.find(({ setBy }) => setBy === verb.name)} live={live} />
      ))}
    </section>
  );
}

function LastCommand({ device }: { device: Device }): preact.JSX.Element {
  const last = device.state?.lastCommand;
  const verb = device.description?.verbs.find(({ name }) => name === last?.verb);
  return (
    <section class="last" aria-label={`${device.name}: last command`}>
      <h4>Last command</h4>
      {last ? (
        <p>
          <bdi class="by">{last.by}</bdi>: <bdi>{verb?.label ?? last.verb}</bdi>
          {last.outcome ? `, ${last.outcome.replaceAll("_", " ")}` : ", still running"}
          {last.date !== null && <span class="since"> at {time(last.date, now().wall)} UTC</span>}
        </p>
      ) : (
        <p class="none">None that is known.</p>
      )}
    </section>
  );
}
