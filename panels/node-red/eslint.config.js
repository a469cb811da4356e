// The packages are in the target folder: see tests/support/places.js.

const { load } = require("./tests/support/places.js");

const js = load("@eslint/js");
const globals = load("globals");
const vue = load("eslint-plugin-vue");

const RULES = {
    ...js.configs.recommended.rules,
    eqeqeq: "error",
    "no-var": "error",
    "prefer-const": "error",
    "no-unused-vars": ["error", { args: "after-used" }],
};

module.exports = [
    { files: ["**/*.js"], languageOptions: { ecmaVersion: 2022, sourceType: "commonjs", globals: globals.node }, rules: RULES },
    {
        // The body of a function node.
        files: ["src/*.node.js"],
        languageOptions: { globals: { msg: "writable", node: "readonly", env: "readonly", RED: "readonly" } },
    },
    {
        files: ["src/panel.script.js"],
        languageOptions: { sourceType: "module", globals: { ...globals.browser } },
        rules: RULES,
    },
    // The browser reads the template as HTML, which has no self-closing component tags.
    ...vue.configs["flat/essential"].map((config) => ({ ...config, files: ["src/panel.vue"] })),
    {
        files: ["src/panel.vue"],
        rules: {
            "vue/html-self-closing": ["error", { html: { component: "never", normal: "never", void: "never" }, svg: "any" }],
            "vue/multi-word-component-names": "off",
        },
    },
    { files: ["tests/command.test.js", "tests/dashboard.test.js"], languageOptions: { globals: globals.browser } },
];
