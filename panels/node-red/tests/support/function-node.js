// Runs the code of a function node as Node-RED does: as a function body with its own globals.

const vm = require("node:vm");

class FunctionNode {
    /** `code` is the node's `func`. */
    constructor(code, properties = {}) {
        this.sent = [];
        this.warnings = [];
        this.later = []; // callbacks that wait for a timer
        this.context = vm.createContext({
            Buffer, Date,
            setTimeout: (run) => this.later.push(run),
            clearTimeout: () => {},
            env: { get: (name) => properties[name] },
            RED: { util: { cloneMessage: structuredClone, generateId: () => "0123456789abcdef" } },
            node: { send: (msg) => this.sent.push(msg), warn: (text) => this.warnings.push(text) },
        });
        this.script = new vm.Script(`(function () {${code}\n})()`);
    }

    /** Hands it a message; returns what the body returns. */
    receive(msg) {
        this.context.msg = msg;
        return this.script.runInContext(this.context);
    }
}

module.exports = { FunctionNode };
