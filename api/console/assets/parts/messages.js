// Messages of a conversation: what people and the agent said, and what the agent did in between.
import { html, useRef, useState } from "../vendor/preact.js";
import { compact, cost, duration, readable, t } from "../words.js";
import { Icon } from "./icons.js";
import { Markdown } from "./markdown.js";
import { notify } from "./notices.js";

export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    copyFromField(text);
  }
  notify(t("Copied"));
}

/** Without TLS, browsers have no clipboard, and they may forbid it. */
function copyFromField(text) {
  const field = document.createElement("textarea");
  field.value = text;
  (document.querySelector("dialog[open]") ?? document.body).append(field);
  field.select();
  document.execCommand("copy");
  field.remove();
}

/** An icon with a tooltip, which is also its name for screen readers. */
export const IconButton = ({ icon, label, ...rest }) =>
  html`<button type="button" class="quiet icon-only" title=${label} aria-label=${label} ...${rest}><${Icon} name=${icon} size=${16} /></button>`;

/** A tool call: its arguments, and its result when it is there. */
function ToolCard({ name, args, result, ok, live }) {
  const state = ok === false ? t("failed") : result !== undefined ? t("done") : live ? t("running") : "";
  return html`<details class=${`tool-card ${ok === false ? "failed" : ""}`}>
    <summary><${Icon} name="tool" size=${15} /><b>${name}</b><code>${oneLine(args)}</code><span class="muted">${state}</span></summary>
    <pre>${JSON.stringify(args, null, 2)}</pre>
    ${result !== undefined && html`<pre>${result}</pre>`}
  </details>`;
}

/** A call that whoever runs the phone line carries out, such as a transfer. */
const HandOffCard = ({ name, args }) => html`<div class="hand-off card">
  <${Icon} name="phone" /><div><b>${name}</b><p class="muted">${t("For whoever runs the line: the turn ends here.")}</p><${Arguments} args=${args} /></div></div>`;

const Arguments = ({ args }) => html`<dl>${Object.entries(args ?? {}).map(
  ([key, value]) => html`<dt>${key}</dt><dd dir="auto">${typeof value === "string" ? value : JSON.stringify(value)}</dd>`,
)}</dl>`;

/** The parts of an answer in their order: text, tools, hand-offs, and where another provider went on. */
function Parts({ parts, live = false }) {
  return parts.map((part, index) => {
    switch (part.type) {
      case "text":
        return html`<${Markdown} text=${part.text} live=${live && index === parts.length - 1} />`;
      case "reasoning":
        return html`<details class="reasoning"><summary>${t("Thoughts")}</summary><div class="plain">${part.text}</div></details>`;
      case "tool":
        return html`<${ToolCard} ...${part} live=${live} />`;
      case "hand_off":
        return html`<${HandOffCard} ...${part} />`;
      case "continued":
        return html`<div class="continued"><${Icon} name="split" size=${14} />${t("continued by {name}", { name: readable(part.deployment) })}</div>`;
      default:
        return null;
    }
  });
}

/** What a user said. `children` are buttons. */
export const Question = ({ text, children }) => html`<article class="message user" aria-label=${t("User")}>
  <div class="bubble" dir="auto">${text}</div>${children && html`<div class="actions">${children}</div>`}</article>`;

/** What the agent said and did, and how it ended. `children` are buttons. */
export const Answer = ({ answer, children }) => html`<article class="message agent" aria-label=${t("Agent")} aria-busy=${answer.live}>
  ${answer.live && !answer.parts.length && html`<p class="waiting" role="status"><span class="sr">${t("Waiting for the first token")}</span><i></i><i></i><i></i></p>`}
  <${Parts} parts=${answer.parts} live=${answer.live} />
  ${answer.stopped && html`<p class="muted">${t("You stopped this answer.")}</p>`}
  ${answer.error && html`<p class="problem" role="alert">${answer.error}</p>`}
  ${!answer.live && (answer.facts || children) && html`<div class="foot"><${Facts} facts=${answer.facts} />${children && html`<div class="actions">${children}</div>`}</div>`}
</article>`;

/** How many attempts failed. Each step of the agent takes one that succeeds. */
export const failedAttempts = (attempts) => attempts.filter(({ outcome }) => outcome !== "ok" && outcome !== "cancelled").length;

/** Who served an answer, how fast, and what it cost. */
function Facts({ facts }) {
  if (!facts) return null;
  const { model, deployment, first_token_ms: first, ms, usage } = facts;
  const failed = failedAttempts(facts.attempts ?? []);
  return html`<p class="facts">
    ${model && html`<span>${model}</span>`}
    ${deployment && html`<span>${readable(deployment)}</span>`}
    ${first != null && html`<span>${t("first token {time}", { time: duration(first) })}</span>`}
    ${ms != null && html`<span>${duration(ms)}</span>`}
    ${usage && html`<span>${t("{in} in, {out} out", { in: compact(usage.input_tokens), out: compact(usage.output_tokens) })}</span>
      <span>${cost(usage.total_cost)}</span>`}
    ${failed > 0 && html`<span class="warn">${t("failed attempts: {n}", { n: failed })}</span>`}
  </p>`;
}

/** The text field of a conversation: Enter sends, Shift+Enter breaks the line. `onStop` is there while an answer comes. */
export function Composer({ draft, onDraft, onSend, onStop, canSend = true }) {
  const ready = canSend && Boolean(draft.trim());
  const send = (event) => {
    event.preventDefault();
    if (ready) onSend(draft.trim());
  };
  return html`<form class="composer" onSubmit=${send}>
    <textarea rows="1" dir="auto" value=${draft} placeholder=${t("Message")} aria-label=${t("Message")}
      onInput=${(event) => onDraft(event.target.value)}
      onKeyDown=${(event) => event.key === "Enter" && !event.shiftKey && !event.isComposing && send(event)}></textarea>
    ${onStop && html`<button type="button" onClick=${onStop}><${Icon} name="stop" />${t("Stop")}</button>`}
    ${(!onStop || ready) && html`<button class="primary" disabled=${!ready}><${Icon} name="send" />${t("Send")}</button>`}
  </form>`;
}

/** Only the newest messages are in the page; the button shows more, and leaves in place what the reader sees. */
export function Windowed({ items, size = 100, render }) {
  const [shown, setShown] = useState(size);
  const button = useRef(null);
  const first = Math.max(0, items.length - shown);
  const showMore = () => {
    const box = button.current.closest(".messages");
    const below = box.scrollHeight - box.scrollTop;
    setShown(shown + size);
    requestAnimationFrame(() => (box.scrollTop = box.scrollHeight - below));
  };
  return html`${first > 0 && html`<button class="quiet earlier" ref=${button} onClick=${showMore}>${t("Show {n} earlier messages", { n: Math.min(size, first) })}</button>`}
    ${items.slice(first).map((each, index) => render(each, first + index))}`;
}

const oneLine = (args) => {
  const text = JSON.stringify(args ?? {});
  return text.length > 80 ? `${text.slice(0, 79)}…` : text;
};
