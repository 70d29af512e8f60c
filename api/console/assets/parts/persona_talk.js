// Conversations with a persona: a new one to try it, and those that are stored.
import { html, useEffect, useRef, useState } from "../vendor/preact.js";
import { get, post, remove, stream } from "../api.js";
import { t, time } from "../words.js";
import { followAnswer } from "./answer.js";
import { useLoad } from "./hooks.js";
import { Icon } from "./icons.js";
import { Loaded } from "./layout.js";
import { Answer, Composer, Question, Windowed } from "./messages.js";
import { attempt } from "./notices.js";
import { useStickToBottom } from "./scrolling.js";

const part = encodeURIComponent;

export function PersonaTrial({ agent }) {
  const [conversation, setConversation] = useState(null);
  const [items, setItems] = useState([]);
  const [draft, setDraft] = useState("");
  const [running, setRunning] = useState(null);
  const messages = useStickToBottom(items);
  const latest = useRef(null);
  latest.current = running;
  useEffect(() => () => latest.current?.abort(), []);
  async function* events(message, signal) {
    const id = conversation ?? (await post("/agents/create-conversation", { agent_id: agent.id })).id;
    setConversation(id);
    yield* stream("/agents/chat-agent/stream", { conversation_id: id, message }, { signal });
  }
  const send = async (message) => {
    const abort = new AbortController();
    const before = [...items, { role: "user", text: message }];
    setDraft("");
    setRunning(abort);
    await followAnswer(events(message, abort.signal), abort.signal, (answer) => setItems([...before, answer]));
    setRunning(null);
  };
  return html`<div class="trial">
    <div class="messages" ref=${messages} tabindex="0" role="log" aria-label=${t("Messages")}>
      <${Opening} agent=${agent} />
      ${items.map((item, index) => item.role === "user"
        ? html`<${Question} key=${index} text=${item.text} />`
        : html`<${Answer} key=${index} answer=${item} />
            ${item.facts?.shape === "mismatch" && html`<p class="warn">${t("The answer does not have the shape.")}</p>`}`)}
    </div>
    <${Composer} draft=${draft} onDraft=${setDraft} canSend=${!running} onSend=${send} onStop=${running && (() => running.abort())} />
  </div>`;
}

export function PersonaConversations({ agent }) {
  const conversations = useLoad(() => get(`/agents/get-conversations?agent_id=${part(agent.id)}`), [agent.id]);
  const [open, setOpen] = useState(null);
  if (open) return html`<${Stored} agent=${agent} conversation=${open} onBack=${() => (setOpen(null), conversations.reload())} />`;
  return html`<${Loaded} state=${conversations} empty=${t("No conversation yet.")}>
    <ul class="choices">${conversations.data?.toReversed().map((each) => html`<li key=${each.id}>
      <button class="quiet choice" onClick=${() => setOpen(each)}><span class="mono ellipsis">${each.id}</span><span class="muted">${when(each.timestamp)}</span></button></li>`)}</ul></${Loaded}>`;
}

function Stored({ agent, conversation, onBack }) {
  const messages = useLoad(() => get(`/agents/get-messages?conversation_id=${part(conversation.id)}`), [conversation.id]);
  const destroy = () => attempt(async () => (await remove(`/agents/conversations/${part(conversation.id)}`), onBack()), t("Deleted"));
  return html`<div class="stack">
    <div class="buttons"><button class="quiet" onClick=${onBack}>← ${t("Back")}</button><span class="spring"></span>
      <button class="danger" onClick=${destroy}><${Icon} name="trash" />${t("Delete")}</button></div>
    <details><summary>${t("Context")}</summary><pre>${agent.context}</pre></details>
    <div class="messages flat">
      <${Opening} agent=${agent} />
      <${Loaded} state=${messages} empty=${t("No messages yet.")}>
        <${Windowed} items=${messages.data ?? []} render=${(each) => html`
          <${Question} key=${`${each.id}?`} text=${each.user_message} />
          <${Answer} key=${each.id} answer=${said(each.agent_message)} /><p class="facts">${when(each.timestamp)}</p>`} />
      </${Loaded}>
    </div></div>`;
}

const Opening = ({ agent }) => agent.first_message && html`<${Answer} answer=${said(agent.first_message)} />`;
const said = (text) => ({ parts: [{ type: "text", text }], live: false });
const when = (timestamp) => time(Date.parse(timestamp) / 1000);
