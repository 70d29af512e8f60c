// Turns in the background: their progress as it happens, their results, and how to stop them.
import { html, useEffect, useState } from "../vendor/preact.js";
import { get, post, remove, stream } from "../api.js";
import { followAnswer, newAnswer } from "../parts/answer.js";
import { link, useConnection, useLoad, usePolling } from "../parts/hooks.js";
import { Icon } from "../parts/icons.js";
import { Heading, Loaded, Split, Status } from "../parts/layout.js";
import { Answer } from "../parts/messages.js";
import { attempt, notify } from "../parts/notices.js";
import { withSessionEvent } from "../parts/session_events.js";
import { UserPicker } from "../parts/user.js";
import { clock, t, time } from "../words.js";

const LISTED = 100;
const POLL = 2000;
const ENDED = new Set(["completed", "error", "cancelled", "interrupted"]);
const part = encodeURIComponent;

export const Tasks = ({ route: [userId = "", taskId = ""] }) => html`<div class="page">
  <${Heading} title=${t("Tasks")} text=${t("Turns that run in the background. They survive a closed page and a stopped server.")} />
  <${UserPicker} value=${userId} onChoose=${(chosen) => (location.hash = link("tasks", chosen))} />
  ${userId && html`<${UserTasks} key=${userId} userId=${userId} taskId=${taskId} />`}
</div>`;

function UserTasks({ userId, taskId }) {
  const [query, setQuery] = useState("");
  const tasks = useLoad(async () => (await get(`/agent/tasks/${part(userId)}?limit=${LISTED}`)).tasks, [userId]);
  usePolling(tasks.reload, POLL);
  const submit = async (event) => {
    event.preventDefault();
    try {
      const { task_id } = await post("/agent/invoke/async", { user_id: userId, query: query.trim() });
      setQuery("");
      tasks.reload();
      location.hash = link("tasks", userId, task_id);
    } catch (error) {
      notify(error.message, "problem");
    }
  };
  const list = html`<form class="row" onSubmit=${submit}><label class="grow"><span class="sr">${t("What should the agent do?")}</span>
      <input dir="auto" value=${query} placeholder=${t("What should the agent do?")} onInput=${(event) => setQuery(event.target.value)} /></label>
      <button class="primary" disabled=${!query.trim()}>${t("Start")}</button></form>
    <${Loaded} state=${tasks} empty=${t("This user has no tasks.")}>
      <ul class="choices">${tasks.data?.map((each) => html`<li key=${each.task_id}><a href=${link("tasks", userId, each.task_id)} aria-current=${each.task_id === taskId ? "true" : undefined}>
        <span class="mono ellipsis">${each.task_id}</span><span class="choice-facts"><span class="muted">${clock(each.created)}</span><span class="spring"></span><${Status} status=${each.status} /></span></a></li>`)}</ul></${Loaded}>`;
  return html`<${Split} list=${list} chosen=${Boolean(taskId)} back=${link("tasks", userId)}>
    ${taskId ? html`<${Task} key=${taskId} taskId=${taskId} userId=${userId} onChange=${tasks.reload} />` : html`<div class="nothing muted">${t("Choose a task.")}</div>`}
  </${Split}>`;
}

function Task({ taskId, userId, onChange }) {
  const path = `/agent/task/${part(taskId)}`;
  const task = useLoad(() => get(path), [taskId]);
  const [answer, setAnswer] = useState(newAnswer);
  const state = task.data;
  const ended = ENDED.has(state?.status);
  const { offline } = useConnection();
  useEffect(() => {
    if (offline) return undefined;
    const abort = new AbortController();
    const events = stream(`${path}/events`, undefined, { signal: abort.signal, method: "GET" });
    followAnswer(events, abort.signal, setAnswer, withSessionEvent).then(() => abort.signal.aborted || (task.reload(), onChange()));
    return () => abort.abort();
  }, [taskId, offline]);
  usePolling(() => ended || task.reload(), POLL);
  const cancel = () => attempt(async () => (await remove(path), task.reload(), onChange()), t("Cancelled"));
  return html`<section class="card stack"><${Loaded} state=${task}>${state && html`
    <header class="session-head"><h2 class="mono ellipsis" title=${taskId}>${taskId}</h2><${Status} status=${state.status} /></header>
    <p class="facts">${["created", "started", "finished"].map((name) => state[name] && html`<span>${t(name)} ${time(state[name])}</span>`)}
      ${state.steps.length > 0 && html`<span>${state.steps.join(", ")}</span>`}</p>
    <div class="messages flat"><${Answer} answer=${state.status === "cancelled" ? { ...answer, live: false, error: null } : answer} /></div>
    ${state.status === "interrupted" && html`<p class="warn">${t("A tool waits for your decision. Open the session to answer.")}</p>`}
    <div class="buttons"><a class="button" href=${link("sessions", userId, state.session_id)}>${t("Open the session")}</a>
      ${!ended && html`<button class="danger" onClick=${cancel}><${Icon} name="stop" />${t("Cancel")}</button>`}</div>`}</${Loaded}>
  </section>`;
}
