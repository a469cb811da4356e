/** Who somebody is, and where the broker is. Nothing is stored but the name, unless it is asked for. */

import { useId, useState } from "preact/hooks";

import { isName } from "../topic";
import type { Credentials } from "../session";
import { address, guessedAddress } from "../address";
import * as kept from "../kept";

interface Props {
  refusal: string;
  login: (credentials: Credentials) => void;
}

export function Login({ refusal, login }: Props): preact.JSX.Element {
  const [wrong, setWrong] = useState("");
  const [before] = useState(kept.read);
  const [broker, setBroker] = useState(before.broker || guessedAddress(window.location));
  const id = useId();
  const found = address(broker, window.location);
  const submit = (event: SubmitEvent): void => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    const name = String(form.get("name")).trim();
    const password = String(form.get("password"));
    if ("wrong" in found) setWrong(found.wrong);
    else if (!isName(name)) setWrong("A name has 1 to 64 of the characters a-z, 0-9, _ and -. Panel users are called web-something.");
    else if (!password) setWrong("There is no password.");
    else {
      setWrong("");
      const credentials = { broker: found.url, name, password };
      kept.write(credentials, form.get("keep") !== null);
      login(credentials);
    }
  };
  const message = wrong || refusal;
  return (
    <main class="login">
      <form onSubmit={submit} aria-labelledby={`${id}-title`}>
        <h1 id={`${id}-title`}>obsbus</h1>
        <p class="lead">The observatory's instruments.</p>
        <label for={`${id}-name`}>Name</label>
        <input
          id={`${id}-name`}
          name="name"
          autocomplete="username"
          autocapitalize="none"
          spellcheck={false}
          maxLength={64}
          placeholder="web-…"
          defaultValue={before.name}
          aria-invalid={Boolean(message)}
          aria-describedby={`${id}-message`}
        />
        <label for={`${id}-password`}>Password</label>
        <input
          id={`${id}-password`}
          name="password"
          type="password"
          autocomplete="current-password"
          defaultValue={before.password}
          aria-invalid={Boolean(message)}
          aria-describedby={`${id}-message`}
        />
        <label for={`${id}-broker`}>Broker</label>
        <input
          id={`${id}-broker`}
          name="broker"
          inputMode="url"
          autocapitalize="none"
          spellcheck={false}
          placeholder="wss://broker.example.org:9443"
          value={broker}
          onInput={(event) => setBroker(event.currentTarget.value)}
        />
        {"warning" in found && found.warning && <p class="hint">{found.warning}</p>}
        <label class="flag">
          <input type="checkbox" name="keep" defaultChecked={Boolean(before.password)} />
          Keep the password and the address in this browser
        </label>
        <button type="submit" class="primary">
          Connect
        </button>
        <p id={`${id}-message`} class="answer bad" role="alert">
          {message}
        </p>
      </form>
    </main>
  );
}
