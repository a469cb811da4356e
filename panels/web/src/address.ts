/** The broker's address as people write it. Pure. */

export interface Location {
  protocol: string;
  host: string;
  hostname: string;
  search: string;
}

const isLoopback = (host: string): boolean => host === "localhost" || host === "[::1]" || /^127(\.\d+){3}$/.test(host);

/** The listener that served this page, or the one that the page's own address names. */
export function guessedAddress(location: Location): string {
  const named = new URLSearchParams(location.search).get("broker");
  if (named) return named;
  if (location.protocol === "https:") return `wss://${location.host}/mqtt`;
  return location.protocol === "http:" ? `ws://${location.host}/mqtt` : "";
}

export type Address = { url: string; warning: string } | { wrong: string };

export function address(written: string, page: Location): Address {
  const tidy = written.trim();
  if (!tidy) return { wrong: "The broker's address is missing: wss://broker.example.org:9443, say." };
  const host = tidy.replace(/^[a-z]+:\/\//i, "").split(/[:/]/)[0] ?? "";
  let url: URL;
  try {
    url = new URL(/^[a-z]+:\/\//i.test(tidy) ? tidy : `${isLoopback(host) ? "ws" : "wss"}://${tidy}`);
  } catch {
    return { wrong: "This is not an address. It looks like wss://broker.example.org:9443." };
  }
  if (url.protocol === "https:") url.protocol = "wss:";
  if (url.protocol === "http:") url.protocol = "ws:";
  if (url.protocol !== "wss:" && url.protocol !== "ws:") {
    return { wrong: "A browser reaches a broker by WebSockets: the address begins with wss:// (or ws://)." };
  }
  if (url.username || url.password) return { wrong: "Name and password have fields of their own: leave them out of the address." };
  if (url.protocol === "ws:" && page.protocol === "https:" && !isLoopback(url.hostname)) {
    return { wrong: "This page came over https, and browsers do not let such a page use ws://. Use wss://, or open the page otherwise." };
  }
  if (url.pathname === "/") url.pathname = "/mqtt";
  url.hash = "";
  const isOpen = url.protocol === "ws:" && !isLoopback(url.hostname);
  return { url: url.href, warning: isOpen ? "Without TLS (ws://) anybody on the way can read the password." : "" };
}

/**
 * What can be wrong when no connection comes about. Browsers do not tell a page whether it was the
 * certificate.
 */
export function remedies(broker: string, page: Location): { words: string; link: string | null }[] {
  const url = new URL(broker);
  const isSame = url.host === page.host;
  const found = [
    { words: `The broker is down, or ${url.host} is not where its WebSocket listener is.`, link: null as string | null },
  ];
  // A page that came from there over TLS has shown that its certificate is trusted.
  if (url.protocol === "wss:" && !(isSame && page.protocol === "https:")) {
    found.push({
      words:
        "This browser does not trust the broker's certificate; browsers do not tell a page so. Open this address: if the browser warns there, " +
        "have the observatory's certificate authority (ca.pem) installed on this computer as a trusted one. If it does not warn, this is not the cause.",
      link: `https://${url.host}/`,
    });
  }
  if (url.protocol === "ws:") {
    found.push({ words: `The listener wants TLS: then the address begins with wss://.`, link: null });
  }
  return found;
}
