// Paths. The tests' packages are installed in the target folder, not beside the sources.

const { createRequire } = require("node:module");
const { join } = require("node:path");

const REPOSITORY = join(__dirname, "../../../..");
const TARGET = process.env.CARGO_TARGET_DIR || join(REPOSITORY, "target");
const INSTALLED = join(TARGET, "node-red");

module.exports = {
    REPOSITORY,
    FOLDER: join(__dirname, "../.."),
    INSTALLED,
    PROGRAMS: process.env.OBSBUS_PROGRAMS || join(TARGET, "debug"),
    load: createRequire(join(INSTALLED, "package.json")),
};
