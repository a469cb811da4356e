// Formats a value of a device's state as its property in `meta` describes it. The command line tools
// show the same text.

const TONES = ["good", "busy", "warning", "bad", "off"];
const UNITS = { degC: "°C", degF: "°F", deg: "°", "%": "%" };
const NUMERIC = [
    "temperature", "humidity", "flow", "power", "ratio", "pressure", "voltage", "current", "position",
    "angle", "speed", "frequency", "duration", "count", "number",
];

/** The unit as it is printed right after a number. */
function unitOf(unit) {
    if (!unit) return "";
    return Object.hasOwn(UNITS, unit) ? UNITS[unit] : ` ${unit}`;
}

/** The value under a key in which dots separate levels; null if there is none. */
function valueAt(state, key) {
    const value = key.split(".").reduce((level, name) => level?.[name], state);
    return value === undefined ? null : value;
}

/** A duration in a readable unit. */
function span(seconds) {
    if (seconds < 120) return `${seconds.toFixed(0)} s`;
    if (seconds < 7200) return `${(seconds / 60).toFixed(0)} min`;
    if (seconds < 172800) return `${(seconds / 3600).toFixed(1)} h`;
    return `${(seconds / 86400).toFixed(1)} d`;
}

/** `2026-11-30 04:17:46 UTC`; null if the text is not a date. */
function moment(text) {
    const time = new Date(text);
    return Number.isNaN(time.getTime()) ? null : `${time.toISOString().slice(0, 19).replace("T", " ")} UTC`;
}

function figure(property, number) {
    const text = number.toFixed(property.decimals ?? 0);
    // Zero is printed without a sign.
    return /^-[0.]*$/.test(text) ? text.slice(1) : text;
}

function wordOf(property, word) {
    return property.words?.find((known) => known.word === word);
}

/** The label and the tone of a word. */
function labelOf(property, word) {
    const known = wordOf(property, word);
    const tone = TONES.includes(known?.tone) ? known.tone : "warning";
    return { label: known?.label ?? String(word).replaceAll("_", " "), tone };
}

function isNumeric(property) {
    return NUMERIC.includes(property.quantity);
}

function one(property, value) {
    if (value === null || value === undefined) return null;
    if (property.quantity === "switch") {
        const [yes, no] = property.set_by ? ["on", "off"] : ["yes", "no"];
        return value === true ? yes : no;
    }
    if (property.quantity === "word") return labelOf(property, value).label;
    if (property.quantity === "time") return moment(value);
    if (!isNumeric(property)) return String(value);
    if (typeof value !== "number" || !Number.isFinite(value)) return null;
    if (property.quantity === "duration" && property.unit === "s") return span(value);
    if (property.quantity === "ratio" && !property.unit) return `${(value * 100).toFixed(0)}%`;
    return figure(property, value) + unitOf(property.unit);
}

/** The value as text; null if it is unknown. */
function shown(property, value) {
    if (!property.many) return one(property, value);
    if (!Array.isArray(value)) return null;
    if (value.length === 0) return "none";
    const bare = isNumeric(property) ? { ...property, unit: null, quantity: "number" } : property;
    const unit = isNumeric(property) ? unitOf(property.unit) : "";
    return value.map((each) => one(bare, each) ?? "-").join(", ") + unit;
}

/** The tone of a value that is a word; null for other values. */
function toneOf(property, value) {
    return property.quantity === "word" && typeof value === "string" ? labelOf(property, value).tone : null;
}

module.exports = { labelOf, moment, shown, span, toneOf, unitOf, valueAt };
