// A chat that any model or persona answers, with what each answer took, and a phone.
import { html, useEffect, useRef, useState } from "../vendor/preact.js";
import { get, stream } from "../api.js";
import { followAnswer, textOf } from "../parts/answer.js";
import { FirstRun } from "../parts/first_run.js";
import { useLoad, useTabState } from "../parts/hooks.js";
import { Icon } from "../parts/icons.js";
import { Answer, Composer, copy, IconButton, Question, Windowed } from "../parts/messages.js";
import { ModelPicker } from "../parts/model_picker.js";
import { Phone, PhoneLink } from "../parts/phone/phone.js";
import { useStickToBottom } from "../parts/scrolling.js";
import { ShownRequest } from "../parts/shown_request.js";
import { t } from "../words.js";

const PARAMETERS = [
  { name: "temperature", min: 0, max: 2, step: 0.1 },
  { name: "top_p", min: 0, max: 1, step: 0.05 },
  { name: "max_tokens", min: 1, max: 100_000, step: 1 },
  { name: "frequency_penalty", min: -2, max: 2, step: 0.1 },
  { name: "presence_penalty", min: -2, max: 2, step: 0.1 },
];

/** A server takes 2000 messages. */
const MOST_SENT = 1999;

export const Chat = ({ route: [mode] }) => (mode === "phone" ? html`<${Phone} />` : html`<${WrittenChat} />`);

function WrittenChat() {
  const [items, setItems] = useTabState("chat", []);
  const [draft, setDraft] = useTabState("chat.draft", "");
  const [options, setOptions] = useTabState("chat.options", { model: "", system: "", parameters: {} });
  const [editing, setEditing] = useState(null);
  const [showing, setShowing] = useState(null);
  const [running, setRunning] = useState(null);
  // A reload or another page ended what was still running.
  const shown = running ? items : items.map((each) => (each.live ? { ...each, live: false, stopped: true } : each));
  const messages = useStickToBottom(items);
  const defaultModel = useLoad(async () => (await get("/health")).default_model);
  const latest = useRef(null);
  latest.current = running;
  useEffect(() => () => latest.current?.abort(), []);

  const ask = async (before) => {
    const abort = new AbortController();
    setRunning(abort);
    const events = stream("/console/chat", requestBody(before, options), { signal: abort.signal });
    await followAnswer(events, abort.signal, (answer) => setItems([...before, answer]));
    setRunning(null);
  };
  const send = (text) => {
    const before = editing === null ? items : items.slice(0, editing);
    setDraft("");
    setEditing(null);
    ask([...before, { role: "user", text }]);
  };
  const edit = (index) => {
    setEditing(index);
    setDraft(items[index].text);
    document.querySelector(".composer textarea").focus();
  };
  const show = () => setShowing({ model: defaultModel.data ?? "default", ...requestBody(lastQuestion(items), options), stream: true });

  return html`<div class="page chat">
    <section class="conversation" aria-label=${t("Conversation")}>
      <div class="bar">
        <${ModelPicker} value=${options.model} onChoose=${(model) => setOptions({ ...options, model })} />
        <span class="spring"></span>
        <${PhoneLink} />
        <button class="quiet" disabled=${!items.length} onClick=${show}><${Icon} name="code" /><span class="sr-narrow">${t("Show the request")}</span></button>
        <button class="quiet" disabled=${running || !items.length} onClick=${() => (setItems([]), setEditing(null))}><${Icon} name="plus" /><span class="sr-narrow">${t("New chat")}</span></button>
      </div>
      <div class="messages" ref=${messages} tabindex="0" role="log" aria-label=${t("Messages")}>
        ${!items.length && html`<${Empty} onPick=${setDraft} />`}
        <${Windowed} items=${shown} render=${(item, index) =>
          item.role === "user"
            ? html`<${Question} key=${index} text=${item.text}>
                <${IconButton} icon="edit" label=${t("Edit and send again")} disabled=${running} onClick=${() => edit(index)} />
                <${IconButton} icon="copy" label=${t("Copy")} onClick=${() => copy(item.text)} /></${Question}>`
            : html`<${Answer} key=${index} answer=${item}>
                <${IconButton} icon="copy" label=${t("Copy")} onClick=${() => copy(textOf(item))} />
                <${IconButton} icon="again" label=${t("Ask again")} disabled=${running} onClick=${() => ask(items.slice(0, index))} /></${Answer}>`} />
      </div>
      ${editing !== null && html`<p class="editing">${t("You edit an earlier message. What follows it is replaced.")}
        <button class="quiet" onClick=${() => (setEditing(null), setDraft(""))}>${t("Cancel")}</button></p>`}
      <${Composer} draft=${draft} onDraft=${setDraft} canSend=${!running} onSend=${send} onStop=${running && (() => running.abort())} />
    </section>
    <${Options} options=${options} onChange=${setOptions} />
    ${showing && html`<${ShownRequest} body=${showing} onClose=${() => setShowing(null)} />`}
  </div>`;
}

function Options({ options, onChange }) {
  const setParameter = (name, text) => {
    const { [name]: _, ...others } = options.parameters;
    onChange({ ...options, parameters: text === "" ? others : { ...others, [name]: Number(text) } });
  };
  return html`<details class="side" open=${WIDE}>
    <summary><${Icon} name="settings" />${t("Settings")}</summary>
    <label>${t("System prompt")}
      <textarea rows="6" dir="auto" value=${options.system} placeholder=${t("Empty: the agent's own prompt")}
        onInput=${(event) => onChange({ ...options, system: event.target.value })}></textarea></label>
    ${PARAMETERS.map(
      ({ name, ...limits }) => html`<label key=${name} class="parameter"><code>${name}</code>
        <input type="number" inputmode="decimal" placeholder=${t("default")} value=${options.parameters[name] ?? ""} ...${limits}
          onInput=${(event) => setParameter(name, event.target.value)} /></label>`,
    )}
  </details>`;
}

const WIDE = matchMedia("(min-width: 1000px)").matches;

const Empty = ({ onPick }) => html`<div class="empty">
  <h1>${t("Talk to your models")}</h1>
  <p class="muted">${t("Each answer shows who served it, how fast it came and what it cost.")}</p>
  <div class="suggestions">${[t("What can you do?"), t("I want to speak with a person."), t("What is six times seven?")].map(
    (each) => html`<button class="suggestion" onClick=${() => onPick(each)}>${each}</button>`,
  )}</div>
  <${FirstRun} /></div>`;

function requestBody(items, { model, system, parameters }) {
  const messages = items.map((each) =>
    each.role === "user" ? { role: "user", content: each.text } : { role: "assistant", content: textOf(each) },
  );
  const spoken = messages.filter((each) => each.content).slice(-MOST_SENT);
  return { ...(model && { model }), messages: system ? [{ role: "system", content: system }, ...spoken] : spoken, ...parameters };
}

/** The conversation up to the last question: what the last answer was asked with. */
const lastQuestion = (items) => items.slice(0, items.findLastIndex((each) => each.role === "user") + 1);
