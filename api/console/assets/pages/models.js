// models.yaml as the server sees it: read it, check an edited text, and save it where the server allows that.
import { html, useEffect, useState } from "../vendor/preact.js";
import { get, post, put } from "../api.js";
import { useLoad } from "../parts/hooks.js";
import { Badge, Heading, Loaded } from "../parts/layout.js";
import { attempt, notify } from "../parts/notices.js";
import { t } from "../words.js";

const PAUSE = 400;

export function Models() {
  const file = useLoad(() => get("/console/models-file"));
  const [opened, setOpened] = useState(null);
  // What somebody else saves meanwhile does not replace what is typed here.
  useEffect(() => setOpened((now) => now ?? file.data ?? null), [file.data]);
  return html`<div class="page models">
    <${Heading} title=${t("Models")} text=${t("The file that says which deployments stand behind each model name.")} />
    <${Loaded} state=${file}>${opened && html`<${Editor} key=${opened.version} file=${opened} onSaved=${async () => setOpened(await file.reload())} />`}</${Loaded}>
  </div>`;
}

function Editor({ file, onSaved }) {
  const [text, setText] = useState(file.text);
  const [undone, setUndone] = useState(0);
  const [problems, setProblems] = useState(file.problems);
  const [YamlEditor, setYamlEditor] = useState(null);
  const schema = useLoad(() => get("/console/models-schema"));
  useEffect(() => void import("../parts/yaml_editor.js").then((module) => setYamlEditor(() => module.YamlEditor)), []);
  useEffect(() => {
    if (text === file.text) return setProblems(file.problems);
    let replaced = false;
    const timer = setTimeout(async () => {
      const answer = await post("/console/models-file/check", { text }).catch((error) => notify(error.message, "problem"));
      if (answer && !replaced) setProblems(answer.problems);
    }, PAUSE);
    return () => ((replaced = true), clearTimeout(timer));
  }, [text, file]);
  const errors = problems.filter((each) => each.severity === "error").length;
  const save = () => attempt(async () => (await put("/console/models-file", { text, version: file.version }), await onSaved()), t("Saved. The server uses the new file."));
  return html`<section class="stack grow">
    <div class="bar flat"><code>${file.path}</code>
      ${errors ? html`<${Badge} kind="bad">${t("errors: {n}", { n: errors })}</${Badge}>` : html`<${Badge} kind="good">${t("no errors")}</${Badge}>`}
      ${problems.length > errors && html`<${Badge} kind="warn">${t("warnings: {n}", { n: problems.length - errors })}</${Badge}>`}
      <span class="spring"></span>
      ${!file.editable && html`<span class="muted">${t("Only checked here: saving needs SWITCHBOARD_CONSOLE_EDIT=true.")}</span>`}
      <button class="quiet" disabled=${text === file.text} onClick=${() => (setText(file.text), setUndone(undone + 1))}>${t("Undo all changes")}</button>
      ${file.editable && html`<button class="primary" disabled=${text === file.text || errors > 0} onClick=${save}>${t("Save")}</button>`}
    </div>
    ${YamlEditor
      ? html`<${YamlEditor} key=${undone} text=${file.text} problems=${problems} schema=${schema.data} label=${t("Text of models.yaml")} onChange=${setText} />`
      : html`<p class="muted" role="status">${t("Loading...")}</p>`}
    ${problems.length > 0 && html`<ul class="rows" aria-label=${t("Problems")}>${problems.map(
      (each) => html`<li><${Badge} kind=${each.severity === "error" ? "bad" : "warn"}>${each.line ? t("line {n}", { n: each.line }) : t("file")}</${Badge}><span>${each.message}</span></li>`,
    )}</ul>`}
  </section>`;
}
