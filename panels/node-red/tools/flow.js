// The nodes of the flow and of the subflow, with their wires. `build.js` adds the code from `src/`.

const { createHash } = require("node:crypto");

/** A hexadecimal id. Node-RED takes any property value that equals an id for a reference to that node. */
const id = (name) => createHash("sha256").update(`obsbus ${name}`).digest("hex").slice(0, 16);

/** A setting from the environment of Node-RED. */
const setting = (name) => `\${OBSBUS_NODERED_BROKER__${name}}`;

const at = (x, y) => ({ x, y });
const wires = (...outputs) => ({ wires: outputs.map((nodes) => nodes.map(id)) });

const brokerNodes = [
    {
        id: id("broker"), type: "mqtt-broker", name: "obsbus broker",
        broker: setting("HOST"), port: setting("PORT"), tls: id("certificate"), usetls: true,
        clientid: "", autoConnect: true, protocolVersion: "5", keepalive: "15",
        cleansession: true, autoUnsubscribe: true, sessionExpiry: "", userProps: "",
        birthTopic: "", birthQos: "0", birthRetain: "false", birthPayload: "", birthMsg: {},
        closeTopic: "", closeQos: "0", closeRetain: "false", closePayload: "", closeMsg: {},
        willTopic: "", willQos: "0", willRetain: "false", willPayload: "", willMsg: {},
    },
    {
        id: id("certificate"), type: "tls-config", name: "obsbus certificate",
        cert: setting("CERTIFICATE_FILE"), key: setting("KEY_FILE"), ca: setting("CA_FILE"),
        certname: "", keyname: "", caname: "", servername: "", verifyservercert: true, alpnprotocol: "",
    },
];

const mqttIn = (z, name, topic, position, to) => ({
    id: id(name), type: "mqtt in", z, name: "", topic, qos: "1", datatype: "utf8", broker: id("broker"),
    nl: false, rap: true, rh: 0, inputs: 0, ...position, ...wires([to]),
});

const functionNode = (z, name, func, outputs, position, ...to) => ({
    id: id(`${z} ${name}`), type: "function", z, name, func, outputs, timeout: 0, noerr: 0,
    initialize: "", finalize: "", libs: [], ...position, ...wires(...to),
});

const statusOf = (z, name, of, position, to) => ({
    id: id(name), type: "status", z, name: "connection", scope: [id(of)], ...position, ...wires([to]),
});

const mark = (z, word, position, to) => ({
    id: id(`mark ${word}`), type: "change", z, name: word,
    rules: [{ t: "set", p: "obsbus", pt: "msg", to: word, tot: "str" }],
    action: "", property: "", from: "", to: "", reg: false, ...position, ...wires([to]),
});

const comment = (z, name, info, position) => ({
    id: id(`comment ${name}`), type: "comment", z, name, info, ...position, wires: [],
});

const property = (name, type, value, label) => ({
    name, type, value, ui: { icon: "", label: { "en-US": label }, type: "input", opts: { types: [type] } },
});

/** The subflow "obsbus command" with what it needs. */
function subflow({ desk, info }) {
    const z = id("command");
    const node = id(`${z} desk`);
    const from = (port) => [{ id: node, port }];
    return [
        {
            id: z, type: "subflow", name: "obsbus command", info, category: "obsbus", color: "#87A980",
            icon: "font-awesome/fa-paper-plane", inputLabels: ["command"], outputLabels: ["verdict", "accepted"],
            in: [{ ...at(80, 80), wires: [{ id: id("mark command") }] }],
            out: [
                { ...at(680, 60), wires: from(0) },
                { ...at(680, 120), wires: from(1) },
            ],
            status: { ...at(680, 260), wires: from(3) },
            env: [
                property("DEVICE", "str", "", "Device (SITE/DEVICE)"),
                property("VERB", "str", "", "Verb"),
                property("ARGUMENTS", "json", "{}", "Arguments"),
                property("TTL_S", "num", "5", "Valid for (seconds)"),
                property("IDENTITY", "str", "nodered", "Identity (name in the certificate)"),
            ],
            meta: {},
        },
        mark(z, "command", at(310, 80), `${z} desk`),
        mqttIn(z, "replies", "+/+/reply/+/+", at(110, 160), "mark reply"),
        mark(z, "reply", at(310, 160), `${z} desk`),
        { id: id("catch"), type: "catch", z, name: "not sent", scope: [id("publish")], uncaught: false, ...at(110, 240), ...wires(["mark refused"]) },
        mark(z, "refused", at(310, 240), `${z} desk`),
        statusOf(z, "desk status", "publish", at(120, 320), `${z} desk`),
        functionNode(z, "desk", desk, 4, at(490, 160), [], [], ["publish"], []),
        {
            id: id("publish"), type: "mqtt out", z, name: "to the broker", topic: "", qos: "1", retain: "false",
            respTopic: "", contentType: "", userProps: "", correl: "", expiry: "", broker: id("broker"),
            ...at(690, 190), wires: [],
        },
    ];
}

const HEARD = ["meta", "state", "availability", "recent", "history"];

/** The dashboard. */
function dashboard({ devices, sort, tell, page, info }) {
    const z = id("flow");
    return [
        { id: z, type: "tab", label: "obsbus", disabled: false, info, env: [] },
        comment(z, "Messages from the devices", "", at(130, 40)),
        ...HEARD.map((what, row) => mqttIn(z, `heard ${what}`, `+/+/${what}`, at(130, 100 + 60 * row), `${z} devices`)),
        statusOf(z, "flow status", "heard state", at(130, 400), `${z} devices`),
        functionNode(z, "devices", devices, 1, at(360, 220), ["page"]),
        {
            id: id("page"), type: "ui-template", z, group: id("group"), page: "", ui: "", name: "page", order: 1,
            width: 0, height: 0, head: "", format: page, storeOutMessages: false, passthru: false, resendOnRefresh: false,
            templateScope: "local", className: "ob-widget", ...at(540, 220), ...wires([`${z} sort`]),
        },
        comment(z, "Commands from the page", "", at(140, 480)),
        functionNode(z, "sort", sort, 2, at(110, 540), [`${z} devices`], ["send"]),
        {
            id: id("send"), type: `subflow:${id("command")}`, z, name: "", env: [],
            ...at(300, 540), ...wires([`${z} tell`], [`${z} tell`]),
        },
        functionNode(z, "tell", tell, 1, at(490, 540), ["page"]),
        { id: id("group"), type: "ui-group", name: "Devices", page: id("panel page"), width: 12, height: 1, order: 1, showTitle: false, className: "", visible: true, disabled: false, groupType: "default" },
        { id: id("panel page"), type: "ui-page", name: "Instruments", ui: id("base"), path: "/obsbus", icon: "telescope", layout: "grid", theme: id("theme"), breakpoints: [{ name: "Default", px: "0", cols: "12" }], order: 1, className: "", visible: true, disabled: false },
        {
            id: id("theme"), type: "ui-theme", name: "obsbus night",
            colors: { surface: "#141c24", primary: "#5cb8ff", bgPage: "#10161d", groupBg: "#10161d", groupOutline: "#10161d" },
            sizes: { density: "default", pagePadding: "12px", groupGap: "12px", groupBorderRadius: "4px", widgetGap: "12px" },
        },
        {
            id: id("base"), type: "ui-base", name: "Dashboard", path: "/dashboard", appIcon: "", includeClientData: true,
            acceptsClientConfig: ["ui-notification", "ui-control"], showPathInSidebar: false, headerContent: "page",
            navigationStyle: "default", titleBarStyle: "fixed", showReconnectNotification: true,
            notificationDisplayTime: 1, showDisconnectNotification: true, allowInstall: false,
        },
    ];
}

module.exports = { brokerNodes, dashboard, subflow };
