// Writes flows.json and obsbus-command.json from `src/`. `--check` writes nothing, and fails if one of them
// is out of date.

const { readFileSync, writeFileSync } = require("node:fs");
const { join } = require("node:path");

const { brokerNodes, dashboard, subflow } = require("./flow.js");

const FOLDER = join(__dirname, "..");
const source = (name) => readFileSync(join(FOLDER, "src", name), "utf8");

const IMPORT = /^const \{[^}]+\} = require\("\.\/([a-z.]+)"\);\n/gm;
const EXPORT = /^module\.exports = .*\n/gm;

/** A source file with the files that it requires inlined: a function node has a single text. */
function bundled(name) {
    return source(name).replace(IMPORT, (_line, required) => bundled(required)).replace(EXPORT, "").trimEnd() + "\n";
}

function page() {
    const parts = [source("panel.vue"), `<script>\n${source("panel.script.js")}</script>\n`, `<style>\n${source("panel.css")}</style>\n`];
    return parts.join("\n");
}

function files() {
    const command = subflow({ desk: bundled("desk.node.js"), info: source("command.md") });
    const board = dashboard({
        devices: bundled("devices.node.js"), sort: bundled("sort.node.js"), tell: bundled("tell.node.js"),
        page: page(), info: source("flow.md"),
    });
    return { "flows.json": [...board, ...command, ...brokerNodes], "obsbus-command.json": [...command, ...brokerNodes] };
}

const stale = [];
for (const [name, nodes] of Object.entries(files())) {
    const [path, text] = [join(FOLDER, name), JSON.stringify(nodes, null, 4) + "\n"];
    if (!process.argv.includes("--check")) writeFileSync(path, text);
    else if (readFileSync(path, "utf8") !== text) stale.push(name);
}
if (stale.length > 0) {
    console.error(`${stale.join(", ")}: out of date; run: node panels/node-red/tools/build.js`);
    process.exit(1);
}
