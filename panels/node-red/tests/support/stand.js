// A site with a broker, simulated instruments and their bridges: see testbed/harness/src/stand.rs.

const { readFileSync } = require("node:fs");
const { join } = require("node:path");

const { Process } = require("./process.js");
const { PROGRAMS, load } = require("./places.js");
const { waitFor } = require("./wait.js");

const KINDS = ["chiller", "focuser", "thermometer"];

class Stand {
    static async start(kinds = KINDS, more = []) {
        const stand = new Stand();
        const args = kinds.flatMap((kind) => ["--instrument", kind]);
        stand.process = new Process(join(PROGRAMS, "teststand"), [...args, "--control", "nodered", "--control", "alice", ...more]);
        Object.assign(stand, JSON.parse(await stand.process.line()));
        return stand;
    }

    /** Types a line; returns the answer. */
    async say(line) {
        const answer = this.process.line();
        this.process.type(line);
        const { ok, error, ...rest } = JSON.parse(await answer);
        if (!ok) throw new Error(`${line}: ${error}`);
        return "answer" in rest && Object.keys(rest).length === 1 ? rest.answer : rest;
    }

    /** The last message of a device, once there is one. */
    last(kind, topic = "state") {
        return waitFor(`${kind}/${topic}`, () => this.say(`state ${kind} ${topic}`));
    }

    /** A client of the broker under this identity. */
    async client(identity) {
        const files = await this.say(`identity ${identity}`);
        const mqtt = load("mqtt");
        return mqtt.connectAsync(`mqtts://${this.host}:${this.mqtt_port}`, {
            protocolVersion: 5,
            ca: readFileSync(files.ca_file),
            cert: readFileSync(files.certificate_file),
            key: readFileSync(files.key_file),
        });
    }

    async close() {
        this.process.type("quit");
        await this.process.ended;
    }
}

module.exports = { Stand };
