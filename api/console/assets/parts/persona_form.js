// The fields of a persona.
import { html, useState } from "../vendor/preact.js";
import { patch, post, remove } from "../api.js";
import { t } from "../words.js";
import { Confirm } from "./dialog.js";
import { Icon } from "./icons.js";
import { attempt, notify } from "./notices.js";

const EMPTY = {
  name: "", context: "", first_message: "", response_shape: "", instructions: "", model: "",
  temperature: 0.5, max_tokens: 1000, max_turns: "",
};
const OPTIONAL = ["name", "model"];
const NUMBERS = ["temperature", "max_tokens", "max_turns"];
const part = encodeURIComponent;

/** Without an `agent` it creates one. */
export function PersonaForm({ agent, onSaved, onDeleted }) {
  const [form, setForm] = useState(() => (agent ? formOf(agent) : EMPTY));
  const [problem, setProblem] = useState(null);
  const [deleting, setDeleting] = useState(null);
  const save = async (event) => {
    event.preventDefault();
    setProblem(null);
    try {
      const body = bodyOf(form);
      const saved = agent ? await patch(`/agents/${part(agent.id)}`, body) : await post("/agents/create-agent", body);
      notify(t("Saved"));
      onSaved(saved);
    } catch (error) {
      setProblem(error);
    }
  };
  const destroy = (conversations) =>
    attempt(async () => {
      try {
        await remove(`/agents/${part(agent.id)}${conversations ? "?cascade=true" : ""}`);
      } catch (error) {
        if (error.code === "agent_in_use" && !conversations) return setDeleting("conversations");
        throw error;
      }
      return onDeleted();
    });
  const common = (name) => ({
    value: form[name],
    "aria-invalid": problem?.param === name ? "true" : undefined,
    onInput: (event) => setForm({ ...form, [name]: event.target.value }),
  });
  const line = (name, label, help) => html`<label>${label}<input dir="auto" ...${common(name)} /><span class="muted">${help}</span></label>`;
  const text = (name, label, rows, help) => html`<label>${label}<textarea dir="auto" rows=${rows} ...${common(name)}></textarea><span class="muted">${help}</span></label>`;
  return html`<form class="card stack" onSubmit=${save}>
    ${agent && html`<p class="facts mono">${agent.id}</p>`}
    ${line("name", t("Name"), t("Also its name as a model: agent:NAME"))}
    ${text("context", t("Context"), 5, t("The system prompt: who the persona is and what it knows."))}
    ${text("first_message", t("First message"), 2, t("What the persona says before the user does."))}
    ${text("instructions", t("Instructions"), 3, t("Given again with each question."))}
    ${text("response_shape", t("Shape of the response"), 3, t("A JSON schema, an example, or words. Empty: plain text."))}
    <div class="columns">
      <label>${t("Model")}<input placeholder=${t("default")} ...${common("model")} /></label>
      <label>${t("Turns at most")}<input type="number" min="1" placeholder=${t("no limit")} ...${common("max_turns")} /></label>
      <label><code>temperature</code><input type="number" min="0" max="2" step="any" placeholder=${t("default")} ...${common("temperature")} /></label>
      <label><code>max_tokens</code><input type="number" min="1" placeholder=${t("default")} ...${common("max_tokens")} /></label>
    </div>
    ${problem && html`<p class="problem" role="alert">${problem.message}</p>`}
    <div class="buttons">
      ${agent && html`<button type="button" class="danger" onClick=${() => setDeleting("agent")}><${Icon} name="trash" />${t("Delete")}</button><span class="spring"></span>`}
      <button class="primary">${agent ? t("Save") : t("Create")}</button>
    </div>
    ${deleting === "agent" && html`<${Confirm} key="agent" title=${t("Delete this persona?")} text=${t("This cannot be undone.")} action=${t("Delete")}
      onClose=${() => setDeleting(null)} onConfirm=${() => destroy(false)} />`}
    ${deleting === "conversations" && html`<${Confirm} key="conversations" title=${t("Delete this persona?")} text=${t("It has conversations. They are deleted too.")}
      action=${t("Delete")} onClose=${() => setDeleting(null)} onConfirm=${() => destroy(true)} />`}
  </form>`;
}

/** An empty field is a value that is not set. */
const formOf = (agent) => Object.fromEntries(Object.keys(EMPTY).map((name) => [name, agent[name] ?? ""]));

function bodyOf(form) {
  const body = { ...form };
  for (const name of OPTIONAL) body[name] = form[name].trim() || null;
  for (const name of NUMBERS) body[name] = form[name] === "" ? null : Number(form[name]);
  return body;
}
