// One session: its conversation, the reviews that wait, its expiry, and turns that run on it.
import { html, useEffect, useRef, useState } from "../vendor/preact.js";
import { get, patch, post, remove, stream } from "../api.js";
import { followAnswer } from "./answer.js";
import { Confirm, Dialog } from "./dialog.js";
import { link, useLoad, usePolling, useTabState } from "./hooks.js";
import { Icon } from "./icons.js";
import { Loaded, Status } from "./layout.js";
import { Answer, Composer, copy, IconButton, Question, Windowed } from "./messages.js";
import { attempt } from "./notices.js";
import { ReviewCard } from "./review.js";
import { useStickToBottom } from "./scrolling.js";
import { itemsOf, withSessionEvent } from "./session_events.js";
import { t, time } from "../words.js";

const POLL = 2000;
const DAY = 86_400;
const REFUSED = new Set(["session_busy", "review_pending"]);
const part = encodeURIComponent;

/** `onChange` is called when the list of sessions may have changed. */
export function Session({ userId, sessionId, onChange }) {
  const [status, history] = useSession(userId, sessionId);
  const { turns, refused, follow, forget } = useTurns(userId, sessionId, async () => {
    await Promise.all([history.reload(), status.reload()]);
    onChange();
  });
  const [draft, setDraft] = useTabState(`session.${userId}.${sessionId}`, "");
  const items = [...(history.data ?? []), ...turns.flatMap((each) => (each.question ? [{ role: "user", text: each.question }, each.answer] : [each.answer]))];
  const messages = useStickToBottom(items);
  const busy = turns.some((each) => each.answer.live);
  const state = status.data;
  const send = async (query, more = {}) => {
    setDraft("");
    const answer = await follow("/agent/invoke/stream", { query, ...more }, query);
    if (answer.failure) setDraft((now) => now || query);
  };
  const review = (each, answer) => follow("/agent/resume/stream", { interrupt_id: each.interrupt_id, ...answer });
  const stop = () => attempt(() => post(`/agent/cancel/${part(userId)}/${part(sessionId)}`));
  return html`<section class="session card" aria-label=${t("Session {id}", { id: sessionId })}>
    <${Head} userId=${userId} sessionId=${sessionId} status=${status} busy=${busy} onChange=${onChange} />
    <div class="messages" ref=${messages} tabindex="0" role="log" aria-label=${t("Messages")}>
      <${Loaded} state=${history}>
        ${!items.length && html`<p class="muted centred">${t("No messages yet.")}</p>`}
        <${Windowed} items=${items} render=${(item, index) =>
          item.role === "user" ? html`<${Question} key=${index} text=${item.text} />` : html`<${Answer} key=${index} answer=${item} />`} />
        ${state?.status === "error" && !turns.length && html`<p class="problem" role="alert">${state.message}</p>`}
        ${state?.interrupts?.map((each) => html`<div key=${each.interrupt_id} hidden=${busy}>
          <${ReviewCard} interrupt=${each} onAnswer=${(answer) => review(each, answer)} /></div>`)}
      </${Loaded}>
    </div>
    ${refused && html`<${Refused} error=${refused} onAnswer=${(more) => (forget(), send(draft.trim(), more))} onClose=${forget} />`}
    <${Composer} draft=${draft} onDraft=${setDraft} onSend=${send} onStop=${(busy || state?.status === "running") && stop} />
  </section>`;
}

/** The status and the messages, also as turns of other clients change them. */
function useSession(userId, sessionId) {
  const status = useLoad(() => get(statusPath(userId, sessionId)), [userId, sessionId]);
  const history = useLoad(() => wholeHistory(userId, sessionId), [userId, sessionId]);
  usePolling(async () => {
    const before = status.data;
    const now = await status.reload();
    if (now && before && now.last_updated !== before.last_updated) history.reload();
  }, POLL);
  return [status, history];
}

/** The turns that this page runs, oldest first, until `onEnd` has read what the server stored of them. */
function useTurns(userId, sessionId, onEnd) {
  const [turns, setTurns] = useState([]);
  const [refused, setRefused] = useState(null);
  const leave = useRef(new AbortController());
  useEffect(() => () => leave.current.abort(), []);
  const follow = async (path, body, question) => {
    const key = Symbol("turn");
    const { signal } = leave.current;
    const events = stream(path, { user_id: userId, session_id: sessionId, ...body }, { signal });
    const put = (answer) => setTurns((all) => [...all.filter((each) => each.key !== key), { key, question, answer }]);
    setRefused(null);
    const answer = await followAnswer(events, signal, put, withSessionEvent);
    const refusal = REFUSED.has(answer.failure?.code) && question;
    if (refusal) setRefused(answer.failure);
    else if (!signal.aborted) await onEnd();
    // The status of the session shows its own error; a request that did not reach it stays to be seen.
    setTurns((all) => all.filter((each) => each.key !== key && !each.answer.failure).concat(answer.failure && !refusal ? [{ key, answer }] : []));
    return answer;
  };
  return { turns, refused, follow, forget: () => setRefused(null) };
}

function Head({ userId, sessionId, status, busy, onChange }) {
  const [asking, setAsking] = useState(null);
  const path = `/agent/session/${part(userId)}/${part(sessionId)}`;
  const state = status.data;
  const exists = state && state.status !== "not_found";
  const close = () => setAsking(null);
  const destroy = () =>
    attempt(async () => {
      await remove(path);
      location.hash = link("sessions", userId);
      onChange();
    }, t("Deleted"));
  const expire = (ttl) => attempt(async () => (await patch(path, { ttl }), close(), status.reload()), t("Saved"));
  return html`<header class="session-head">
      <h2 class="mono ellipsis" title=${sessionId}>${sessionId}</h2>
      ${exists && html`<${Status} status=${busy ? "running" : state.status} />`}
      <span class="spring"></span>
      <${IconButton} icon="copy" label=${t("Copy the session's id")} onClick=${() => copy(sessionId)} />
      <${IconButton} icon="clock" label=${t("Expiry")} disabled=${!exists} onClick=${() => setAsking("expiry")} />
      <${IconButton} icon="trash" label=${t("Delete")} disabled=${!exists} onClick=${() => setAsking("delete")} />
    </header>
    ${exists && html`<p class="facts">
      ${state.last_updated && html`<span>${t("changed {time}", { time: time(state.last_updated) })}</span>`}
      <span>${state.expires_at ? t("expires {time}", { time: time(state.expires_at) }) : t("never expires")}</span></p>`}
    ${asking === "delete" && html`<${Confirm} title=${t("Delete this session?")} text=${t("Its messages are deleted too. This cannot be undone.")}
      action=${t("Delete")} onClose=${close} onConfirm=${destroy} />`}
    ${asking === "expiry" && html`<${Dialog} title=${t("When does the session expire?")} onClose=${close}><div class="buttons">${[
      [t("in an hour"), 3600],
      [t("in a day"), DAY],
      [t("in 30 days"), 30 * DAY],
      [t("never"), null],
    ].map(([label, ttl]) => html`<button onClick=${() => expire(ttl)}>${label}</button>`)}</div></${Dialog}>`}`;
}

/** What the server refused, and the ways to send it all the same. */
const Refused = ({ error, onAnswer, onClose }) => html`<div class="problem refused" role="alert"><p>${error.message}</p><div class="buttons">
  <button class="quiet" onClick=${onClose}>${t("Cancel")}</button>
  ${error.code === "session_busy"
    ? html`<button onClick=${() => onAnswer({ on_busy: "enqueue" })}>${t("Wait in line")}</button>
        <button class="danger" onClick=${() => onAnswer({ on_busy: "supersede" })}>${t("Interrupt and send")}</button>`
    : html`<button class="danger" onClick=${() => onAnswer({ on_pending: "reject" })}>${t("Reject and send")}</button>`}
</div></div>`;

async function wholeHistory(userId, sessionId) {
  if ((await get(statusPath(userId, sessionId))).status === "not_found") return [];
  const messages = [];
  for (;;) {
    const page = await get(`/agent/history/${part(userId)}/${part(sessionId)}?limit=1000&offset=${messages.length}`);
    messages.push(...page.messages);
    if (!page.messages.length || messages.length >= page.total) return itemsOf(messages);
  }
}

const statusPath = (userId, sessionId) => `/agent/status/${part(userId)}/${part(sessionId)}`;
