// Keeps the last messages of every device and prepares what the page shows, as each device's `meta`
// describes it. It names no instrument and reads no clock: the time is an argument, in milliseconds.

const { labelOf, moment, shown, span, toneOf, unitOf, valueAt } = require("./values.js");

const EVENTS = 8;
const HEARD = ["meta", "state", "availability", "recent", "history"];

class Devices {
    constructor() {
        this.devices = new Map();
        this.connected = false; // to the broker
        this.changed = new Map(); // device -> the parts that have changed
        this.gone = new Set();
    }

    /** Notes the connection to the broker. If it is lost, everything but `meta` is forgotten. */
    connection(connected) {
        this.connected = connected;
        if (connected) return;
        for (const [name, device] of this.devices) {
            this.devices.set(name, { meta: device.meta });
            this.mark(name, "shown", "events", "charts");
        }
    }

    /** Takes a message of a device. `left` is the rest of its expiry, in seconds. Throws if it cannot be read. */
    hear(topic, payload, left, now) {
        const [site, name, what, ...more] = topic.split("/");
        if (more.length > 0 || !HEARD.includes(what)) return;
        const key = `${site}/${name}`;
        if (what === "meta" && payload === "") {
            this.devices.delete(key);
            this.gone.add(key);
            return;
        }
        // After a partial deploy Node-RED does not report a connection that already exists.
        this.connected = true;
        const device = this.devices.get(key) ?? {};
        this.devices.set(key, device);
        try {
            if (what === "availability") {
                device.availability = payload;
                this.mark(key, "shown");
            } else {
                this[what](key, device, payload === "" ? null : JSON.parse(payload), left, now);
            }
        } catch (error) {
            throw new Error(`${topic} cannot be read: ${error.message}`, { cause: error });
        }
    }

    meta(key, device, meta) {
        if (!Array.isArray(meta.properties) || !Array.isArray(meta.verbs)) {
            throw new Error(`properties or verbs are missing; version 2 is needed, and this is version ${meta.schema}`);
        }
        device.meta = meta;
        this.gone.delete(key);
        this.mark(key, "about", "shown", "events", "charts");
    }

    state(key, device, state, left, now) {
        // A retained state may be old: the rest of its expiry tells for how long it is still fresh.
        const limit = state?.stale_after_s ?? 0;
        device.state = state;
        device.fresh_until = now + Math.min(left ?? limit, limit) * 1000;
        this.mark(key, "shown");
    }

    recent(key, device, recent) {
        device.recent = recent;
        this.mark(key, "events");
    }

    history(key, device, history) {
        device.history = history;
        this.mark(key, "charts");
    }

    mark(key, ...parts) {
        const marked = this.changed.get(key) ?? new Set();
        for (const part of parts) marked.add(part);
        this.changed.set(key, marked);
    }

    /** What has changed since the last call; null if nothing has. */
    changes(now) {
        if (this.changed.size === 0 && this.gone.size === 0) return null;
        const drawn = this.draw(now, this.changed, false);
        this.changed = new Map();
        this.gone = new Set();
        return drawn;
    }

    /** Everything. */
    whole(now) {
        const all = ["about", "shown", "events", "charts"];
        return this.draw(now, new Map([...this.devices.keys()].map((key) => [key, all])), true);
    }

    draw(now, wanted, whole) {
        const devices = {};
        for (const [key, parts] of wanted) {
            const device = this.devices.get(key);
            // Other services of the site publish a state, too. Only a device has a `meta`.
            if (!device?.meta) continue;
            devices[key] = Object.fromEntries([...parts].map((part) => [part, drawn(part, device, now)]));
        }
        return { now, whole, connected: this.connected, gone: [...this.gone], devices };
    }
}

const PARTS = { about, shown: standing, events, charts };

/** One part of one device. An error in it must not hide the other parts and devices. */
function drawn(part, device, now) {
    try {
        return PARTS[part](device, now);
    } catch (error) {
        const broken = { bridge: device.availability ?? null, broken: error.message };
        return { about: { label: "?", model: "", verbs: [] }, shown: broken, events: [], charts: [] }[part];
    }
}

function about({ meta }) {
    return {
        label: meta.label ?? meta.kind,
        model: meta.model ?? "",
        verbs: meta.verbs.map((verb) => ({
            ...verb,
            arguments: (verb.arguments ?? []).map((argument) => ({ ...argument, unit_text: unitOf(argument.unit) })),
        })),
    };
}

function standing(device, now) {
    const { meta, state } = device;
    const drawn = { bridge: device.availability ?? null, known: Boolean(state) };
    if (!state) return drawn;
    const status = meta.properties.find((property) => property.key === "status");
    const word = status ? labelOf(status, state.status) : { label: state.status, tone: "warning" };
    const published = Date.parse(state.published_at);
    const stored_ms = state.stale_after_s * 1000 - (device.fresh_until - now);
    return {
        ...drawn,
        status: state.status_label ?? word.label,
        tone: word.tone,
        summary: state.summary ?? "",
        connected: state.connected === true,
        fresh_for_ms: device.fresh_until - now,
        read_ago_ms: state.date ? published - Date.parse(state.date) + stored_ms : null,
        stale_after_ms: state.stale_after_s * 1000,
        attention: state.attention ?? [],
        motion: motion(meta, state),
        last_command: lastCommand(state.last_command),
        rows: meta.properties
            .filter((property) => property.key !== "status" && property.role !== "motion")
            .map((property) => row(property, valueAt(state, property.key))),
    };
}

function row(property, value) {
    const { key, label, role, set_by } = property;
    return { key, label, role, set_by, value: shown(property, value), tone: toneOf(property, value) };
}

function motion(meta, state) {
    const of = (key) => meta.properties.find((property) => property.role === "motion" && property.key === key);
    const progress = of("progress") ? state.progress : null;
    if (typeof progress !== "number") return null;
    const left = of("eta_s") && typeof state.eta_s === "number" ? `${span(state.eta_s)} left` : "";
    return { percent: Math.round(progress * 100), left };
}

function lastCommand(command) {
    if (!command) return null;
    const when = moment(command.date);
    return `${command.verb} by ${command.by}: ${command.outcome}${when ? `, ${when}` : ""}`;
}

function events({ recent }) {
    const newest = (recent?.events ?? []).slice(-EVENTS).reverse();
    return newest.map(({ session, seq, date, severity, by, message }) => ({
        key: `${session}-${seq}`, date: moment(date), severity, by, message,
    }));
}

function charts({ meta, history }) {
    if (!history?.columns) return [];
    return meta.properties
        .filter((property) => property.history && Array.isArray(history.columns[property.key]))
        .map((property) => chart(property, history))
        .filter(Boolean);
}

function chart(property, history) {
    const values = history.columns[property.key];
    const known = values.filter((value) => typeof value === "number");
    if (known.length === 0) return null;
    const [least, most] = [Math.min(...known), Math.max(...known)];
    const end = Date.parse(history.from) + values.length * history.bin_s * 1000;
    return {
        key: property.key,
        label: property.label,
        values,
        least,
        most,
        least_text: shown({ ...property, many: false }, least),
        most_text: shown({ ...property, many: false }, most),
        from: moment(history.from),
        until: moment(end),
    };
}

module.exports = { Devices };
