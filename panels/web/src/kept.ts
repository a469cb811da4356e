/** What this browser keeps: the name; the password and the address only if that was asked for. */

import type { Credentials } from "./session";

const NAME = "obsbus-name";
const LOGIN = "obsbus-login";

/** A browser may be told to keep nothing: then reading and writing fail. */
function attempt<T>(what: () => T, otherwise: T): T {
  try {
    return what();
  } catch {
    return otherwise;
  }
}

export function read(): Credentials {
  return attempt(
    () => {
      const name = localStorage.getItem(NAME) ?? "";
      const login = JSON.parse(localStorage.getItem(LOGIN) ?? "{}") as Record<string, unknown>;
      const { broker, password } = login;
      return {
        name,
        broker: typeof broker === "string" ? broker : "",
        password: typeof password === "string" ? password : "",
      };
    },
    { name: "", broker: "", password: "" },
  );
}

export function write({ name, broker, password }: Credentials, keep: boolean): void {
  attempt(() => {
    localStorage.setItem(NAME, name);
    if (keep) localStorage.setItem(LOGIN, JSON.stringify({ broker, password }));
    else localStorage.removeItem(LOGIN);
  }, undefined);
}

export const forget = (): void => attempt(() => localStorage.removeItem(LOGIN), undefined);

const THEME = "obsbus-theme";

/** The colours last only as long as the tab. */
export const readTheme = (): string => attempt(() => sessionStorage.getItem(THEME) ?? "", "");
export const writeTheme = (theme: string): void => attempt(() => sessionStorage.setItem(THEME, theme), undefined);
