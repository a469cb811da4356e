// A child process with line-based input and output. Its output is kept for error messages.

const { spawn } = require("node:child_process");
const { createInterface } = require("node:readline");
const { once } = require("node:events");

const TO_END_MS = 20_000;

class Process {
    constructor(program, args, options = {}) {
        this.name = program;
        this.lines = [];
        this.readers = [];
        this.child = spawn(program, args, { ...options, stdio: ["pipe", "pipe", "pipe"] });
        this.ended = once(this.child, "close");
        this.child.stdin.on("error", () => {}); // its end is reported instead
        for (const stream of [this.child.stdout, this.child.stderr]) {
            createInterface({ input: stream }).on("line", (line) => {
                this.lines.push(line);
                if (stream === this.child.stdout) this.readers.shift()?.resolve(line);
            });
        }
        this.ended.then(() => this.readers.forEach(({ reject }) => reject(new Error(this.story("ended")))), () => {});
    }

    story(what) {
        return `${this.name} ${what}; it wrote:\n${this.lines.slice(-30).join("\n")}`;
    }

    /** The next line of its output. */
    line() {
        return new Promise((resolve, reject) => this.readers.push({ resolve, reject }));
    }

    type(line) {
        this.child.stdin.write(`${line}\n`);
    }

    async stop() {
        if (this.child.exitCode !== null || this.child.signalCode !== null) return;
        this.child.kill("SIGTERM");
        const kill = setTimeout(() => this.child.kill("SIGKILL"), TO_END_MS);
        await this.ended;
        clearTimeout(kill);
    }
}

module.exports = { Process };
