// Bundles each library of the console into one module of ../assets/vendor, with its version and licence.
// `node build.mjs` writes the files; `node build.mjs --check` fails if they differ from what it would write.
import { build } from "esbuild";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";

const folder = new URL("../assets/vendor/", import.meta.url);

const bundles = {
  "preact.js": `
    import { h } from "preact";
    import htm from "htm";
    export { createContext, render } from "preact";
    export { useCallback, useContext, useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
    export const html = htm.bind(h);`,
  "markdown.js": `
    export { Marked } from "marked";
    export { default as DOMPurify } from "dompurify";`,
  "sse.js": `export { createParser } from "eventsource-parser";`,
  "charts.js": `export { default as uPlot } from "uplot";`,
  "charts.css": `@import "uplot/dist/uPlot.min.css";`,
  "editor.js": `
    export { autocompletion, completionKeymap } from "@codemirror/autocomplete";
    export { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
    export { yaml } from "@codemirror/lang-yaml";
    export { HighlightStyle, indentUnit, syntaxHighlighting } from "@codemirror/language";
    export { lintGutter, setDiagnostics } from "@codemirror/lint";
    export { EditorState } from "@codemirror/state";
    export { EditorView, keymap, lineNumbers } from "@codemirror/view";
    export { tags } from "@lezer/highlight";`,
};

const here = new URL(".", import.meta.url);
const read = (path) => readFile(new URL(path, here), "utf8");
const about = async (name) => JSON.parse(await read(`node_modules/${name}/package.json`));

/** The text of a bundle, and the names of the packages in it. */
async function bundled(name, contents) {
  const result = await build({
    stdin: { contents, loader: name.endsWith(".css") ? "css" : "js", resolveDir: here.pathname },
    absWorkingDir: here.pathname,
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    legalComments: "none",
    metafile: true,
    write: false,
    outfile: name,
  });
  const paths = Object.keys(result.metafile.inputs);
  const packages = new Set(paths.flatMap((path) => path.match(/node_modules\/((?:@[^/]+\/)?[^/]+)\//)?.[1] ?? []));
  const versions = await Promise.all([...packages].sort().map(about));
  const head = versions.map((each) => `${each.name} ${each.version} (${each.license})`).join(", ");
  return { text: `/* ${head}. See LICENSES. */\n${result.outputFiles[0].text}`, packages };
}

async function licenceText(name) {
  const { version } = await about(name);
  const file = (await readdir(new URL(`node_modules/${name}/`, here))).find((each) => /^licen[cs]e/i.test(each));
  return `${name} ${version}\n${"=".repeat(60)}\n${(await read(`node_modules/${name}/${file}`)).trim()}\n`;
}

const files = {};
const packages = new Set();
for (const [name, contents] of Object.entries(bundles)) {
  const bundle = await bundled(name, contents);
  files[name] = bundle.text;
  for (const each of bundle.packages) packages.add(each);
}
files.LICENSES = (await Promise.all([...packages].sort().map(licenceText))).join("\n\n");

if (process.argv.includes("--check")) {
  for (const [name, text] of Object.entries(files)) {
    if ((await readFile(new URL(name, folder), "utf8").catch(() => "")) !== text) {
      console.error(`api/console/assets/vendor/${name} is not what \`node build.mjs\` writes. Run it, and commit the file.`);
      process.exitCode = 1;
    }
  }
} else {
  await mkdir(folder, { recursive: true });
  for (const [name, text] of Object.entries(files)) await writeFile(new URL(name, folder), text);
}
