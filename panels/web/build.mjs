// Makes page/index.html out of src/: one file that asks nobody for anything. The same input gives
// the same bytes.
//
//     node build.mjs           writes page/index.html
//     node build.mjs --check   says whether it is what src/ gives

import { createHash } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

import { build } from "esbuild";

const LARGEST = 700_000;
const here = (name) => fileURLToPath(new URL(name, import.meta.url));

async function bundled(entry, more) {
  const { outputFiles } = await build({
    entryPoints: [here(entry)],
    bundle: true,
    minify: true,
    write: false,
    target: ["chrome111", "firefox113", "safari16.4"],
    legalComments: "none",
    charset: "utf8",
    logLevel: "warning",
    ...more,
  });
  return outputFiles[0].text.trim();
}

const hash = (text) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;

// A bundle must not end its own element.
const script = (
  await bundled("src/main.tsx", {
    format: "iife",
    jsx: "automatic",
    jsxImportSource: "preact",
    define: { "process.env.NODE_ENV": '"production"' },
  })
).replaceAll("</script", "<\\/script");
const style = await bundled("src/style/all.css", {});

// Nothing but this very script runs, whatever a message says; and nothing is loaded. The broker may
// be anywhere, so any WebSocket is allowed. mqtt.js keeps its time in a worker made from a blob.
const policy = [
  "default-src 'none'",
  `script-src ${hash(script)}`,
  `style-src ${hash(style)}`,
  "connect-src ws: wss:",
  "worker-src blob:",
  "img-src data:",
  "base-uri 'none'",
  "form-action 'none'",
].join("; ");

// What goes into the page may be passed on by anybody, under the notices in LICENCES.
const PERMISSIVE = ["MIT", "ISC", "BSD-3-Clause", "0BSD"];
const { packages } = JSON.parse(await readFile(here("package-lock.json"), "utf8"));
for (const [name, { dev, license }] of Object.entries(packages)) {
  if (name && !dev && !PERMISSIVE.includes(license)) {
    console.error(`${name} is under ${license}: look at its licence, and at LICENCES`);
    process.exit(1);
  }
}

const licences = (await readFile(here("LICENCES"), "utf8")).trim();
const page = (await readFile(here("src/page.html"), "utf8"))
  .replace("@LICENCES@", () => licences)
  .replace("@POLICY@", () => policy)
  .replace("@STYLE@", () => style)
  .replace("@SCRIPT@", () => script);

if (page.length > LARGEST) {
  console.error(`page/index.html would have ${page.length} bytes; ${LARGEST} are allowed`);
  process.exit(1);
}
if (process.argv.includes("--check")) {
  const committed = await readFile(here("page/index.html"), "utf8").catch(() => "");
  if (committed !== page) {
    console.error("page/index.html is not what src/ gives: run `npm run build` in panels/web and commit it");
    process.exit(1);
  }
  console.log(`page/index.html is what src/ gives (${page.length} bytes)`);
} else {
  await mkdir(here("page"), { recursive: true });
  await writeFile(here("page/index.html"), page);
  console.log(`page/index.html: ${page.length} bytes`);
}
