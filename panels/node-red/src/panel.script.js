// The script of the page, in the browser. It uses its own clock to judge freshness, so values do not look
// live if messages stop. (The dashboard accepts a single exported object and nothing else.)

export default {
    data() {
        return {
            devices: {},
            forms: {}, // device -> verb -> argument -> what was typed
            verdicts: {}, // device/verb -> the verdict on the last press
            time: performance.now(),
            ahead: 0, // of Node-RED's clock over this page's
            linked: false, // Node-RED has sent data since the page connected
            broker: false,
            asking: false,
            question: null,
        };
    },

    computed: {
        trouble() {
            if (!this.linked) return "No connection to Node-RED. No values are shown.";
            if (!this.broker) return "Node-RED has no connection to the broker. No values are shown.";
            return null;
        },
        cards() {
            // A device without its description is shown when that has arrived.
            const names = Object.keys(this.devices).filter((name) => this.devices[name].about);
            return names.sort().map((name) => this.card(name, this.devices[name]));
        },
    },

    methods: {
        // --- Incoming messages ----------------------------------------------------------------------

        take(msg) {
            const { payload } = msg;
            if (payload?.verdict) this.tell(payload.verdict);
            if (!payload?.devices) return;
            this.time = performance.now();
            this.ahead = payload.now - this.time;
            this.linked = true;
            this.broker = payload.connected;
            if (payload.whole) this.devices = {};
            for (const name of payload.gone) delete this.devices[name];
            for (const [name, parts] of Object.entries(payload.devices)) {
                const device = { ...this.devices[name], ...parts };
                if (parts.shown) device.received = this.time;
                this.devices[name] = device;
            }
        },
        tell({ id, device, verb, word, message, code }) {
            const place = `${device}/${verb}`;
            if (this.verdicts[place]?.id !== id) return;
            const text = [word + (code ? ` (${code})` : ""), message].filter(Boolean).join(": ");
            const tone = { accepted: "busy", done: "good", rejected: "warning", stopped: "warning" }[word] ?? "bad";
            this.note(place, { id, text, tone, ended: word !== "accepted" });
        },
        // The time (by Node-RED's clock) shows how old the verdict is.
        note(place, verdict) {
            const at = new Date(performance.now() + this.ahead).toISOString().slice(11, 19);
            this.verdicts[place] = { ...verdict, at: `${at} UTC` };
        },
        hello() {
            this.send_to_flow({ wants: "everything" });
        },
        lost() {
            this.linked = false;
            const text = "no answer: the connection to Node-RED was lost; check the device's state";
            for (const [place, { id, ended }] of Object.entries(this.verdicts)) {
                if (!ended) this.note(place, { id, text, tone: "bad", ended: true });
            }
        },

        // --- The condition of a device -------------------------------------------------------------

        card(name, { about, shown, events, charts, received }) {
            const verbs = about.verbs.map((verb) => this.control(verb));
            return {
                name, about, shown, events: events ?? [], charts: charts ?? [],
                stands: this.standing(shown ?? {}, received),
                stops: verbs.filter((verb) => verb.stop),
                bare: verbs.filter((verb) => !verb.stop && !verb.needs_signature && verb.arguments.length === 0),
                controls: verbs.filter((verb) => !verb.stop && (verb.needs_signature || verb.arguments.length > 0)),
            };
        },
        control(verb) {
            // A single choice gets one button per word; other arguments get a form.
            const alone = verb.arguments.length === 1 && verb.arguments[0].kind === "choice";
            return { ...verb, alone, choices: alone ? this.choices(verb.arguments[0]) : [], more: verb.question ? " …" : "" };
        },
        // The present value of the property that the verb sets.
        present(card, verb) {
            const set = this.rows(card, ["headline", "reading", "setting"]).find((row) => row.set_by === verb.name);
            return set ? set.text : "";
        },
        standing(shown, received) {
            const passed = this.time - received;
            const dead = (label, summary, tone = "bad") => ({ label, summary, tone, live: false, commandable: false, age: "" });
            if (this.trouble) return dead("NOT LIVE", this.trouble);
            if (shown.broken) return dead("UNREADABLE", `Its state cannot be shown: ${shown.broken}`);
            if (shown.bridge === null) return dead("NO BRIDGE", "The broker has no availability message from its bridge.");
            if (shown.bridge !== "online") return dead("NO BRIDGE", "Its bridge is not running, or has no connection to the broker.");
            if (!shown.known) return dead("NO STATE", "Its bridge is online but has not published a state.", "warning");
            if (passed > shown.fresh_for_ms) {
                return { ...dead("STALE", "Its bridge has stopped publishing."), commandable: true };
            }
            const ago = shown.read_ago_ms === null ? null : shown.read_ago_ms + passed;
            const fresh = shown.connected && ago !== null && ago <= shown.stale_after_ms;
            return {
                label: shown.status, summary: shown.summary, tone: shown.tone, live: true, commandable: true, fresh,
                age: ago === null ? "Never read." : `Read ${this.span(ago / 1000)} ago.`,
            };
        },
        rows({ shown, stands }, roles) {
            const rows = shown?.rows ?? [];
            return rows.filter((row) => roles.includes(row.role)).map((row) => {
                // The bridge itself knows a setting. A reading is only as fresh as the device's last answer.
                const known = stands.live && (stands.fresh || row.role === "setting") && row.value !== null;
                return { ...row, text: known ? row.value : "–", tone: known ? row.tone : null };
            });
        },
        span(seconds) {
            return seconds < 120 ? `${Math.max(seconds, 0).toFixed(0)} s` : `${(seconds / 60).toFixed(0)} min`;
        },
        severity({ severity }) {
            return { error: "bad", warning: "warning" }[severity] ?? "off";
        },
        line({ values, least, most }) {
            const height = (value) => (most === least ? 20 : 38 - (36 * (value - least)) / (most - least));
            const step = 288 / Math.max(values.length, 1);
            let drawn = false;
            return values.map((value, index) => {
                const known = typeof value === "number";
                // Each bin is a horizontal line, so that a single one is visible, too.
                const part = known ? `${drawn ? "L" : "M"}${index * step} ${height(value)}h${step}` : "";
                drawn = known;
                return part;
            }).join("");
        },

        // --- Controls -----------------------------------------------------------------

        choices(argument) {
            const words = Object.keys(argument.choice_labels ?? {});
            return (words.length ? words : argument.choices ?? []).map((word) => ({
                word, label: argument.choice_labels?.[word] ?? word,
            }));
        },
        form({ name }, verb) {
            this.forms[name] ??= {};
            this.forms[name][verb.name] ??= Object.fromEntries(
                verb.arguments.map((argument) => [argument.name, argument.kind === "flag" ? false : ""]),
            );
            return this.forms[name][verb.name];
        },
        range({ kind, minimum, maximum, unit_text, optional }) {
            const limits = minimum === null || maximum === null ? "" : `, ${minimum} to ${maximum}${unit_text}`;
            return (kind === "number" ? limits : "") + (optional ? ", optional" : "");
        },
        wrong(argument, typed) {
            if (typed === "" || argument.kind !== "number") return null;
            const number = Number(typed);
            const { label, minimum, maximum, unit_text } = argument;
            const below = minimum !== null && number < minimum;
            const above = maximum !== null && number > maximum;
            if (Number.isFinite(number) && !below && !above) return null;
            return `${label}: ${typed} is outside ${minimum ?? "…"} to ${maximum ?? "…"}${unit_text}`;
        },
        faults(card, verb) {
            const form = this.form(card, verb);
            return verb.arguments.map((argument) => this.wrong(argument, form[argument.name])).filter(Boolean);
        },
        filled(card, verb) {
            const form = this.form(card, verb);
            const all = verb.arguments.every((argument) => argument.optional || form[argument.name] !== "");
            return all && this.faults(card, verb).length === 0;
        },
        send(card, verb) {
            if (!card.stands.commandable || !this.filled(card, verb)) return;
            const given = {};
            for (const { name, kind } of verb.arguments) {
                const typed = this.form(card, verb)[name];
                if (typed !== "") given[name] = kind === "number" ? Number(typed) : typed;
            }
            this.ask(card, verb, given);
        },
        ask(card, verb, given) {
            if (!verb.question) {
                this.press(card, verb, given);
                return;
            }
            const words = Object.values(given).filter((value) => typeof value !== "boolean");
            const title = `${card.about.label}: ${[verb.label, ...words].join(" ")}`;
            this.question = { card, verb, given, title, yes: [verb.label, ...words].join(" ") };
            this.asking = true;
        },
        confirm() {
            const { card, verb, given } = this.question;
            this.asking = false;
            this.press(card, verb, given);
        },
        press({ name }, verb, given) {
            const place = `${name}/${verb.name}`;
            const id = `nodered-${[...crypto.getRandomValues(new Uint8Array(8))].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
            // Without a connection the socket would queue it and send it later.
            if (!this.$socket.connected || !this.linked) {
                this.note(place, { id, text: "not sent: no connection to Node-RED", tone: "bad", ended: true });
                return;
            }
            this.note(place, { id, text: "sent", tone: "busy", ended: false });
            // The time of the press by Node-RED's clock: if the message is delayed, the bridge refuses it.
            const pressed_at = performance.now() + this.ahead;
            this.send_to_flow({ press: { device: name, verb: verb.name, arguments: given, id, pressed_at } });
        },
        toldAll(card, verbs) {
            return verbs.map((verb) => ({ label: verb.label, ...this.told(card, verb) })).filter(({ text }) => text);
        },
        told({ name }, verb) {
            return this.verdicts[`${name}/${verb.name}`];
        },
        send_to_flow(payload) {
            this.$socket.emit("widget-send", this.id, { payload });
        },
    },

    mounted() {
        // Not `msg`: the dashboard fills it with stored messages of unknown age.
        this.$socket.on(`msg-input:${this.id}`, this.take);
        this.$socket.on("connect", this.hello);
        this.$socket.on("disconnect", this.lost);
        this.ticking = setInterval(() => { this.time = performance.now(); }, 500);
        if (this.$socket.connected) this.hello();
    },

    unmounted() {
        clearInterval(this.ticking);
        this.$socket.off("connect", this.hello);
        this.$socket.off("disconnect", this.lost);
    },
};
