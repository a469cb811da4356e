/** The page: login, or the devices. */

import { render } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";

import { address, guessedAddress } from "./address";
import { DeviceCard } from "./view/device";
import { Bar, stopAll, THEMES, type Theme } from "./view/bar";
import { Login } from "./view/login";
import { ReplayMark } from "./view/replay";
import { SharedContext, useFollow } from "./view/paint";
import { isAsking, useQuestion } from "./view/question";
import * as kept from "./kept";
import type { Device } from "./device";
import { Panel } from "./panel";
import { Replay } from "./replay";
import type { Credentials } from "./session";
import { toneOfSeverity } from "./view/mark";

/** So many devices are shown with everything; of more, each on demand. */
const FEW = 3;

function firstTheme(): Theme {
  const asked = new URLSearchParams(location.search).get("theme") ?? kept.readTheme();
  const preferred = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  const theme = THEMES.find((known) => known === asked) ?? preferred;
  paintIn(theme);
  return theme;
}

/** Before anything is drawn: the charts read the colours when they are made. */
function paintIn(theme: Theme): void {
  document.documentElement.dataset["theme"] = theme;
}

function useHash(): string {
  const [hash, setHash] = useState(location.hash.slice(1));
  useEffect(() => {
    const changed = (): void => setHash(location.hash.slice(1));
    addEventListener("hashchange", changed);
    return () => removeEventListener("hashchange", changed);
  }, []);
  return hash;
}

/** Connects at once where name and password are kept. */
function keptLogin(panel: Panel): Credentials | null {
  if (panel.replay) {
    const anybody = { name: "replay", password: "", broker: guessedAddress(location) };
    panel.login(anybody);
    return anybody;
  }
  const before = kept.read();
  const found = address(before.broker, location);
  if (!before.password || !("url" in found)) return null;
  const credentials = { ...before, broker: found.url };
  panel.login(credentials);
  return credentials;
}

function Page({ panel }: { panel: Panel }): preact.JSX.Element {
  const [credentials, setCredentials] = useState(() => keptLogin(panel));
  const [theme, setTheme] = useState<Theme>(firstTheme);
  const { ask, dialog } = useQuestion();
  const shared = useMemo(() => ({ panel, ask }), [panel]);
  const choose = (chosen: Theme): void => {
    paintIn(chosen);
    setTheme(chosen);
    kept.writeTheme(chosen);
  };
  useFollow(panel, "list");
  const login = (given: Credentials): void => {
    setCredentials(given);
    panel.login(given);
  };

  if (!panel.connection || !credentials) return <Login refusal={panel.refusal} login={login} />;
  const logout = (): void => {
    kept.forget();
    panel.logout();
    setCredentials(null);
  };
  return (
    <SharedContext.Provider value={shared}>
      {panel.replay && <ReplayMark replay={panel.replay} />}
      <Devices panel={panel} theme={theme} choose={choose} broker={credentials.broker} logout={logout} />
      {dialog}
      <Spoken panel={panel} />
    </SharedContext.Provider>
  );
}

interface DevicesProps {
  panel: Panel;
  theme: Theme;
  choose: (theme: Theme) => void;
  broker: string;
  logout: () => void;
}

function Devices({ panel, theme, choose, broker, logout }: DevicesProps): preact.JSX.Element {
  const hash = useHash();
  const [turned, setTurned] = useState<ReadonlyMap<string, boolean>>(new Map());
  const card = useCards(setTurned);
  const all = panel.list();
  const wanted = all.filter(({ key, site }) => key === hash || site === hash);
  // An address that names nothing that is there hides nothing.
  const shown = wanted.length > 0 ? wanted : all;
  const alone = wanted.length === 1 && wanted[0]?.key === hash;
  const sites = [...new Set(shown.map(({ site }) => site))];
  const allSites = [...new Set(all.map(({ site }) => site))];

  useEffect(() => {
    const key = (event: KeyboardEvent): void => {
      // In a question it closes the question.
      if (event.key !== "Escape" || event.repeat || isAsking()) return;
      stopAll(panel, shown);
    };
    // A key that is held down presses once.
    const held = (event: KeyboardEvent): void => {
      const isPress = event.key === "Enter" || event.key === " ";
      if (event.repeat && isPress && !(event.target instanceof HTMLInputElement && event.key === " ")) event.preventDefault();
    };
    addEventListener("keydown", key);
    addEventListener("keydown", held);
    return () => {
      removeEventListener("keydown", key);
      removeEventListener("keydown", held);
    };
  });

  return (
    <>
      <a class="skip" href="#devices" onClick={(event) => (event.preventDefault(), document.getElementById("devices")?.focus())}>
        To the devices
      </a>
      <Bar devices={shown} broker={broker} theme={theme} choose={choose} logout={logout} />
      <main id="devices" tabIndex={-1}>
        {(allSites.length > 1 || wanted.length > 0) && (
          <nav class="sites" aria-label="Sites">
            <a href="#" aria-current={wanted.length === 0 ? "page" : undefined}>
              All
            </a>
            {allSites.map((site) => (
              <a key={site} href={`#${site}`} aria-current={hash === site ? "page" : undefined}>
                {site}
              </a>
            ))}
          </nav>
        )}
        {all.length === 0 && panel.connected && <p class="empty">Connected. No device has said anything yet.</p>}
        {sites.map((site) => {
          const members = shown.filter((device) => device.site === site);
          return (
            <section key={site} class="site" aria-label={`Site ${site}`}>
              <h2 class={allSites.length > 1 ? "" : "sr"}>{site}</h2>
              <div class={`devices ${alone ? "alone" : ""} ${shown.length <= FEW ? "few" : ""}`}>
                {members.map((device) => card(device, alone || (turned.get(device.key) ?? shown.length <= FEW), alone, theme))}
              </div>
            </section>
          );
        })}
      </main>
    </>
  );
}

type Turn = (change: (turned: ReadonlyMap<string, boolean>) => ReadonlyMap<string, boolean>) => void;

/**
 * The same element as before while nothing but the device's own messages has changed: Preact then
 * passes it by, and a new device does not draw all the others again.
 */
function useCards(turn: Turn): (device: Device, open: boolean, alone: boolean, theme: Theme) => preact.JSX.Element {
  const known = useRef(new Map<Device, { of: string; element: preact.JSX.Element }>());
  return (device, open, alone, theme) => {
    const of = `${open} ${alone} ${theme}`;
    const before = known.current.get(device);
    if (before?.of === of) return before.element;
    const toggle = (): void => turn((turned) => new Map(turned).set(device.key, !open));
    const element = <DeviceCard key={device.key} device={device} open={open} alone={alone} theme={theme} toggle={toggle} />;
    known.current.set(device, { of, element });
    return element;
  };
}

/** What only a screen reader says, and what the tab's title says while another tab is seen. */
function Spoken({ panel }: { panel: Panel }): preact.JSX.Element {
  useFollow(panel, "spoken");
  useEffect(() => {
    const timer = setInterval(() => {
      const title = titleOf(panel);
      if (document.title !== title) document.title = title;
    }, 1000);
    return () => clearInterval(timer);
  }, [panel]);
  return (
    <>
      <p class="sr" role="status">
        {panel.spoken.polite}
      </p>
      <p class="sr" role="alert">
        {panel.spoken.urgent}
      </p>
    </>
  );
}

function titleOf(panel: Panel): string {
  if (panel.replay) return "REPLAY - obsbus";
  if (panel.connection && !panel.connected) return "No connection - obsbus";
  const bad = panel.list().filter(
    (device) =>
      !["live", "waiting"].includes(panel.presence(device)) ||
      device.state?.attentions.some(({ severity }) => toneOfSeverity(severity) === "bad"),
  );
  return bad.length > 0 ? `${bad.length} to look at - obsbus` : "obsbus";
}

const root = document.getElementById("page");
const replay = new URLSearchParams(location.search).has("replay") ? new Replay() : null;
if (root) render(<Page panel={new Panel(replay)} />, root);
