// A real headless Chromium. Errors on its console are kept.

const { mkdirSync } = require("node:fs");
const { join } = require("node:path");

const { INSTALLED, load } = require("./places.js");

// These flags prevent connections to its vendor.
const FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
];
const PROGRAM = process.env.CHROMIUM || "/usr/bin/chromium";

class Browser {
    static async start() {
        const browser = new Browser();
        const { chromium } = load("playwright-core");
        browser.chromium = await chromium.launch({ executablePath: PROGRAM, args: FLAGS });
        browser.complaints = [];
        return browser;
    }

    async open(address, size = { width: 1400, height: 1000 }) {
        const page = await this.chromium.newPage({ viewport: size });
        page.setDefaultTimeout(20_000);
        await page.goto(address);
        return page;
    }

    /** The same, but keeps all errors and any request to another host. */
    async watch(address, size) {
        const page = await this.open("about:blank", size);
        const { origin } = new URL(address);
        page.on("request", (request) => {
            const url = new URL(request.url());
            if (url.protocol.startsWith("http") && url.origin !== origin) this.complaints.push(`request to another host: ${url}`);
        });
        page.on("pageerror", (error) => this.complaints.push(`${error}`));
        page.on("console", (message) => {
            if (message.type() === "error") this.complaints.push(message.text());
        });
        await page.goto(address);
        return page;
    }

    /** Drops the errors that any browser reports when the server is down. */
    forgive() {
        this.complaints = this.complaints.filter((line) => !/net::ERR|TransportError|WebSocket connection/.test(line));
    }

    close() {
        return this.chromium.close();
    }
}

/** Saves a screenshot for people to look at. */
async function picture(page, name, fullPage = true) {
    const folder = join(INSTALLED, "pictures");
    mkdirSync(folder, { recursive: true });
    await page.screenshot({ path: join(folder, `${name}.png`), fullPage });
}

module.exports = { Browser, picture };
