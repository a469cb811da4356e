/**
 * A verb as a control that fits its arguments. Only a press sends: no control acts on a change, on
 * the wheel, on getting the focus, or on a state that comes.
 */

import { useId, useRef, useState } from "preact/hooks";

import { now } from "../clock";
import type { Argument, Property, Verb } from "../description";
import type { Device } from "../device";
import { figure, shown, unit } from "../figure";
import { at } from "../payload";
import { isBad, may, read, type Given, type Request } from "../request";
import { useShared } from "./paint";

interface Props {
  device: Device;
  verb: Verb;
  /** What shows the value that the verb sets. */
  property: Property | undefined;
  live: boolean;
}

export function Command({ device, verb, property, live }: Props): preact.JSX.Element {
  const { panel, ask } = useShared();
  const answer = useId();
  const request = panel.request(device, verb);
  const [only] = verb.arguments;
  const isChoice = verb.arguments.length === 1 && only?.kind === "choice" && !only.optional;

  const send = (given: Given, chosen: string): void => {
    const found = read(verb, given);
    if ("wrong" in found) {
      panel.refuse(device, verb, found.wrong);
      return;
    }
    const press = (): void => panel.press(device, verb, found.values);
    if (!verb.question) press();
    else ask({ title: `${device.name}: ${verb.label}${chosen && ` ${chosen}`}`, text: verb.question, yes: chosen || verb.label }, press);
  };

  return (
    <div class="command" role="group" aria-label={verb.label}>
      <div class="about">
        <span class="name">{verb.label}</span>
        {property && <Current device={device} property={property} live={live} />}
      </div>
      {verb.needsSignature ? (
        <p class="none">Not from here: it needs a signature, and a browser has no key. The command line has one.</p>
      ) : isChoice ? (
        <Choices device={device} argument={only} property={property} answer={answer} live={live} send={send} />
      ) : (
        <Form verb={verb} answer={answer} request={request} send={send} />
      )}
      <Answer id={answer} request={request} />
    </div>
  );
}

/** What the state says of the setting now. */
function Current({ device, property, live }: { device: Device; property: Property; live: boolean }): preact.JSX.Element {
  const value = shown(property, at(device.state?.values, property.key), now().wall);
  return (
    <span class={live ? "current" : "current old"}>
      <span class="sr">{live ? "now " : "last known "}</span>
      {value.text}
      {value.unit && <span class="unit">{value.unit}</span>}
    </span>
  );
}

/** One choice is one button, and the one that holds is marked. */
function Choices(props: {
  device: Device;
  argument: Argument & { kind: "choice" };
  property: Property | undefined;
  answer: string;
  live: boolean;
  send: (given: Given, chosen: string) => void;
}): preact.JSX.Element {
  const value = props.property && at(props.device.state?.values, props.property.key);
  const holds = (word: string): boolean =>
    props.live && (value === word || (value === true && word === "on") || (value === false && word === "off"));
  return (
    <div class="choices">
      {props.argument.choices.map(({ word, label }) => (
        <button
          type="button"
          key={word}
          aria-pressed={holds(word)}
          aria-describedby={props.answer}
          onClick={(event) => event.detail < 2 && props.send(new Map([[props.argument.name, word]]), label)}
        >
          <bdi>{label}</bdi>
        </button>
      ))}
    </div>
  );
}

function Form(props: {
  verb: Verb;
  answer: string;
  request: Request | undefined;
  send: (given: Given, chosen: string) => void;
}): preact.JSX.Element {
  const { verb, answer, send } = props;
  const form = useRef<HTMLFormElement>(null);
  const [wrong, setWrong] = useState<string | null>(null);
  const press = (event: SubmitEvent): void => {
    event.preventDefault();
    const given: Given = new Map();
    for (const argument of verb.arguments) {
      const field = form.current?.elements.namedItem(argument.name);
      if (field instanceof HTMLInputElement) given.set(argument.name, field.type === "checkbox" ? field.checked : field.value);
      else if (field instanceof RadioNodeList) given.set(argument.name, field.value);
    }
    const found = read(verb, given);
    setWrong("wrong" in found ? found.argument : null);
    send(given, "");
  };
  return (
    <form ref={form} onSubmit={press} noValidate autocomplete="off">
      {verb.arguments.map((argument) => (
        <Field key={argument.name} argument={argument} answer={answer} wrong={wrong === argument.name} alone={verb.arguments.length === 1} />
      ))}
      <button
        type="submit"
        aria-describedby={answer}
        // The second half of a double click.
        onClick={(event) => event.detail > 1 && event.preventDefault()}
      >
        <bdi>{verb.label}</bdi>
        {verb.question ? "…" : ""}
      </button>
    </form>
  );
}

function Field(props: { argument: Argument; answer: string; wrong: boolean; alone: boolean }): preact.JSX.Element {
  const { argument, answer, wrong } = props;
  const id = useId();
  switch (argument.kind) {
    case "flag":
      return (
        <label class="flag">
          <input type="checkbox" name={argument.name} />
          <bdi>{argument.label}</bdi>
        </label>
      );
    case "choice":
    case "name":
      if (argument.choices.length > 0) return <Radios argument={argument} />;
  }
  const isNumber = argument.kind === "number";
  const of = argument.kind === "number" ? unit(argument.unit) : "";
  const hint = may(argument);
  const step = argument.kind === "number" && argument.step ? ` In steps of ${figure(argument.step, null)}.` : "";
  return (
    <div class="field">
      <label for={id}>
        <bdi>{argument.label}</bdi>
        {argument.optional && " (optional)"}
      </label>
      <span class="input">
        {/* No type=number: the wheel would change it. */}
        <input
          id={id}
          name={argument.name}
          type="text"
          inputMode={isNumber ? "decimal" : "text"}
          maxLength={64}
          spellcheck={false}
          aria-invalid={wrong}
          aria-describedby={`${id}-may ${answer}`}
        />
        {of && <span class="unit">{of}</span>}
      </span>
      <span class="may" id={`${id}-may`}>
        {hint}
        {step}
      </span>
    </div>
  );
}

/** Not a drop-down list: the browser draws that in its own colours, blue ones at night too. */
function Radios({ argument }: { argument: Argument & { kind: "choice" | "name" } }): preact.JSX.Element {
  const name = argument.name;
  const options = argument.optional ? [{ word: "", label: "not given" }, ...argument.choices] : argument.choices;
  return (
    <fieldset class="radios">
      <legend>
        <bdi>{argument.label}</bdi>
      </legend>
      {options.map(({ word, label }, index) => (
        <label key={word}>
          <input type="radio" name={name} value={word} defaultChecked={argument.optional && index === 0} />
          <bdi>{label}</bdi>
        </label>
      ))}
    </fieldset>
  );
}

/** What became of the last press, where it was pressed. Spoken by the page's own live region. */
export function Answer({ id, request }: { id: string; request: Request | undefined }): preact.JSX.Element {
  return (
    <p id={id} class={`answer ${request ? (isBad(request) ? "bad" : request.stage) : ""}`} data-stage={request?.stage}>
      {request?.text ?? ""}
    </p>
  );
}
