// The code blocks of docs/node-red.md.

const { readFileSync } = require("node:fs");
const { join } = require("node:path");

const { REPOSITORY } = require("./places.js");

/** The blocks of a language, in their order. */
function blocks(language) {
    const page = readFileSync(join(REPOSITORY, "docs/node-red.md"), "utf8");
    return [...page.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\``, "gms"))].map(([, block]) => block);
}

module.exports = { blocks };
