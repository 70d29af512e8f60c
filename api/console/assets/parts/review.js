// The question before a reviewed tool runs, and its four answers.
import { html, useState } from "../vendor/preact.js";
import { t } from "../words.js";
import { Icon } from "./icons.js";

/** `onAnswer({ response_type, args })` is called with the decision. */
export function ReviewCard({ interrupt, onAnswer }) {
  const [mode, setMode] = useState("ask");
  const { action, args } = interrupt.action_request;
  const allowed = interrupt.config;
  return html`<section class="review card" aria-label=${t("Review of {tool}", { tool: action })}>
    <h3><${Icon} name="tool" />${t("May the agent run {tool}?", { tool: action })}</h3>
    ${interrupt.description && html`<p class="muted">${interrupt.description}</p>`}
    ${mode === "ask" &&
    html`<dl>${Object.entries(args).map(([name, value]) => html`<dt>${name}</dt><dd>${shown(value)}</dd>`)}</dl>
      <div class="buttons">
        ${allowed.allow_ignore && html`<button class="danger" onClick=${() => onAnswer({ response_type: "reject" })}>${t("Reject")}</button>`}
        ${allowed.allow_respond && html`<button onClick=${() => setMode("respond")}>${t("Answer in words")}</button>`}
        ${allowed.allow_edit && html`<button onClick=${() => setMode("edit")}>${t("Edit")}</button>`}
        ${allowed.allow_accept && html`<button class="primary" onClick=${() => onAnswer({ response_type: "accept" })}>${t("Accept")}</button>`}
      </div>`}
    ${mode === "edit" && html`<${ArgumentsForm} args=${args} schema=${interrupt.args_schema} onBack=${() => setMode("ask")}
      onSend=${(edited) => onAnswer({ response_type: "edit", args: edited })} />`}
    ${mode === "respond" && html`<${WordsForm} onBack=${() => setMode("ask")}
      onSend=${(words) => onAnswer({ response_type: "response", args: words })} />`}
  </section>`;
}

/** One field for each argument; its control follows the tool's JSON schema. */
function ArgumentsForm({ args, schema, onBack, onSend }) {
  const properties = schema?.properties ? mapped(schema.properties, withoutNull) : mapped(args, (value) => ({ type: typeOf(value) }));
  const required = new Set(schema?.required ?? []);
  const [texts, setTexts] = useState(() => mapped(properties, (property, name) => (args[name] == null ? "" : asText(args[name], property))));
  const [problems, setProblems] = useState({});
  const submit = (event) => {
    event.preventDefault();
    const edited = {};
    const found = {};
    for (const [name, property] of Object.entries(properties)) {
      if (texts[name] === "" && !required.has(name)) continue;
      try {
        edited[name] = asValue(texts[name], property);
      } catch {
        found[name] = t("This is not a valid {type}.", { type: property.type ?? "JSON" });
      }
    }
    setProblems(found);
    if (!Object.keys(found).length) onSend(edited);
  };
  return html`<form class="stack" onSubmit=${submit}>
    ${Object.entries(properties).map(
      ([name, property]) => html`<label key=${name}><span><code>${name}</code> ${property.description && html`<span class="muted">${property.description}</span>`}</span>
        <${Field} property=${property} value=${texts[name]} invalid=${name in problems} onInput=${(value) => setTexts({ ...texts, [name]: value })} />
        ${problems[name] && html`<span class="bad">${problems[name]}</span>`}</label>`,
    )}
    <${FormButtons} onBack=${onBack} action=${t("Run with these arguments")} />
  </form>`;
}

function Field({ property, value, invalid, onInput }) {
  const common = { value, "aria-invalid": invalid ? "true" : undefined, onInput: (event) => onInput(event.target.value) };
  if (property.enum) return html`<select ...${common}>${property.enum.map((each) => html`<option value=${asText(each, property)}>${asText(each, property)}</option>`)}</select>`;
  switch (property.type) {
    case "boolean":
      return html`<select ...${common}><option value="true">${t("yes")}</option><option value="false">${t("no")}</option></select>`;
    case "integer":
    case "number":
      return html`<input type="number" step=${property.type === "integer" ? 1 : "any"} ...${common} />`;
    case "string":
      return html`<input ...${common} />`;
    default:
      return html`<textarea class="mono" rows="4" ...${common}></textarea>`;
  }
}

function WordsForm({ onBack, onSend }) {
  const [words, setWords] = useState("");
  return html`<form class="stack" onSubmit=${(event) => (event.preventDefault(), onSend(words.trim()))}>
    <label>${t("What the agent is told instead of a result")}
      <textarea rows="3" required autofocus value=${words} onInput=${(event) => setWords(event.target.value)}></textarea></label>
    <${FormButtons} disabled=${!words.trim()} onBack=${onBack} action=${t("Send")} />
  </form>`;
}

const FormButtons = ({ disabled, onBack, action }) => html`<div class="buttons">
  <button type="button" class="quiet" onClick=${onBack}>${t("Back")}</button><button class="primary" disabled=${disabled}>${action}</button></div>`;

const shown = (value) => (typeof value === "string" ? value : JSON.stringify(value));
const mapped = (object, change) => Object.fromEntries(Object.entries(object).map(([name, each]) => [name, change(each, name)]));
const typeOf = (value) => ({ string: "string", number: "number", boolean: "boolean" })[typeof value] ?? "object";

/** The schema of a property that may also be null, as if it may not: an empty field is no value. */
function withoutNull(property) {
  const types = Array.isArray(property.type) ? property.type.map((type) => ({ type })) : [];
  const [only, ...more] = [...(property.anyOf ?? []), ...types].filter((each) => each.type !== "null");
  return only && !more.length ? { ...property, ...only } : property;
}

/** The text of a field: JSON, but for a text that its control can only show as it is. */
const asText = (value, { type, enum: choices }) => (typeof value === "string" && (type === "string" || choices) ? value : JSON.stringify(value));

function asValue(text, property) {
  const { type, enum: choices } = property;
  if (choices) return choices.find((each) => asText(each, property) === text);
  if (type === "string") return text;
  const value = JSON.parse(text);
  if (type === "integer" && !Number.isInteger(value)) throw new SyntaxError();
  return value;
}
