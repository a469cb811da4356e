// A Node-RED with its own folder and port, on loopback.

const { mkdtempSync, rmSync, symlinkSync, writeFileSync } = require("node:fs");
const { createServer } = require("node:net");
const { once } = require("node:events");
const { tmpdir } = require("node:os");
const { join } = require("node:path");

const { INSTALLED } = require("./places.js");
const { Process } = require("./process.js");
const { waitFor } = require("./wait.js");

const SETTINGS = {
    flowFile: "flows.json",
    credentialSecret: "of no use to anybody",
    uiHost: "127.0.0.1",
    telemetry: { enabled: false },
    mqttReconnectTime: 1000,
    editorTheme: { tours: false },
    logging: { console: { level: "info" } },
};

async function freePort() {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address();
    server.close();
    await once(server, "close");
    return port;
}

// Warnings of every Node-RED that is new or has no projects.
const USUAL = /Projects disabled|Encrypted credentials not found/;

/** The environment that the flow reads its broker settings from. */
async function environment(stand, identity) {
    const files = await stand.say(`identity ${identity}`);
    return {
        OBSBUS_NODERED_BROKER__HOST: stand.host,
        OBSBUS_NODERED_BROKER__PORT: String(stand.mqtt_port),
        OBSBUS_NODERED_BROKER__CA_FILE: files.ca_file,
        OBSBUS_NODERED_BROKER__CERTIFICATE_FILE: files.certificate_file,
        OBSBUS_NODERED_BROKER__KEY_FILE: files.key_file,
    };
}

class NodeRed {
    /** `flows` is the text of a flow file; `more` overrides settings. */
    static async start(stand, flows, more = {}) {
        const red = new NodeRed();
        red.folder = mkdtempSync(join(tmpdir(), "obsbus-node-red-"));
        red.environment = await environment(stand, "nodered");
        const port = await freePort();
        red.address = `http://127.0.0.1:${port}`;
        // Node-RED looks for the dashboard in its user folder.
        symlinkSync(join(INSTALLED, "node_modules"), join(red.folder, "node_modules"));
        const settings = { ...SETTINGS, ...more, uiPort: port };
        writeFileSync(join(red.folder, "settings.js"), `module.exports = ${JSON.stringify(settings)};\n`);
        writeFileSync(join(red.folder, "flows.json"), flows);
        red.log = [];
        try {
            await red.launch();
        } catch (error) {
            await red.close();
            throw error;
        }
        return red;
    }

    /** Starts or restarts it, and waits for its connection to the broker. */
    async launch() {
        const program = join(INSTALLED, "node_modules/node-red/red.js");
        this.process = new Process(process.execPath, [program, "--userDir", this.folder], {
            env: { ...process.env, ...this.environment },
            cwd: this.folder,
        });
        await waitFor("Node-RED to have the broker", () => {
            if (this.process.child.exitCode !== null) throw new Error(this.process.story("ended"));
            return this.process.lines.some((line) => line.includes("Connected to broker"));
        }, 60_000).catch((error) => { throw new Error(this.process.story(error.message)); });
    }

    async stop() {
        await this.process.stop();
        this.log.push(...this.process.lines);
        this.process.lines = [];
    }

    /** Its warnings and errors. */
    complaints() {
        const lines = [...this.log, ...this.process.lines].filter((line) => !USUAL.test(line));
        return lines.filter((line) => /\[(warn|error|fatal)\]|uncaught/i.test(line));
    }

    async close() {
        await this.stop();
        rmSync(this.folder, { recursive: true });
    }
}

module.exports = { NodeRed, freePort };
