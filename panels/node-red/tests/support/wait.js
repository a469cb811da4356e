// Waits for a condition, with a time limit and a clear error.

const { setTimeout: pause } = require("node:timers/promises");

const LIMIT_MS = 30_000;

async function waitFor(what, probe, limit = LIMIT_MS) {
    const end = Date.now() + limit;
    let last;
    while (Date.now() < end) {
        try {
            const found = await probe();
            if (found) return found;
            last = found;
        } catch (error) {
            last = error;
        }
        await pause(50);
    }
    throw new Error(`waited ${limit / 1000} s for ${what}; last: ${last?.message ?? JSON.stringify(last)}`);
}

module.exports = { waitFor };
