// A user's sessions: find one, open it, begin a new one.
import { html, useState } from "../vendor/preact.js";
import { get } from "../api.js";
import { link, useLoad, usePolling } from "../parts/hooks.js";
import { Icon } from "../parts/icons.js";
import { Heading, Loaded, Split, Status } from "../parts/layout.js";
import { Session } from "../parts/session.js";
import { UserPicker } from "../parts/user.js";
import { t, time } from "../words.js";

const PAGE = 30;
const SEARCHED = 300;
const POLL = 5000;
const part = encodeURIComponent;

export const Sessions = ({ route: [userId = "", sessionId = ""] }) => html`<div class="page">
  <${Heading} title=${t("Sessions")} text=${t("Stored conversations of a user: read them, go on with them, answer reviews.")} />
  <${UserPicker} value=${userId} onChoose=${(chosen) => (location.hash = link("sessions", chosen))} />
  ${userId && html`<${UserSessions} key=${userId} userId=${userId} sessionId=${sessionId} />`}
</div>`;

function UserSessions({ userId, sessionId }) {
  const [search, setSearch] = useState("");
  const [shown, setShown] = useState(PAGE);
  const wanted = search ? SEARCHED : shown;
  const sessions = useLoad(() => loadSessions(userId, wanted), [userId, wanted]);
  usePolling(() => search || sessions.reload(), POLL); // a search has asked for hundreds of them
  const found = (sessions.data ?? []).filter((each) => matches(each, search));
  const list = html`<div class="row">
      <label class="grow"><span class="sr">${t("Search")}</span><input type="search" placeholder=${t("Search")} value=${search} onInput=${(event) => setSearch(event.target.value)} /></label>
      <button onClick=${() => (location.hash = link("sessions", userId, newId()))}><${Icon} name="plus" />${t("New")}</button>
    </div>
    <${Loaded} state=${sessions} empty=${t("This user has no session yet.")}>
      <ul class="choices">${found.slice(0, shown).map((each) => html`<li key=${each.session_id}>
        <a href=${link("sessions", userId, each.session_id)} aria-current=${each.session_id === sessionId ? "true" : undefined}><${Row} session=${each} /></a></li>`)}</ul>
      ${search && !found.length && html`<p class="muted">${t("Nothing found.")}</p>`}
      ${found.length > shown && html`<button class="quiet" onClick=${() => setShown(shown + PAGE)}>${t("Show more")}</button>`}
    </${Loaded}>`;
  return html`<${Split} list=${list} chosen=${Boolean(sessionId)} back=${link("sessions", userId)}>
    ${sessionId
      ? html`<${Session} key=${sessionId} userId=${userId} sessionId=${sessionId} onChange=${sessions.reload} />`
      : html`<div class="nothing muted"><p>${t("Choose a session.")}</p>
          ${found.length > 0 && html`<a class="button" href=${link("sessions", userId, sessions.data[0].session_id)}>${t("Go on with the latest")}</a>`}</div>`}
  </${Split}>`;
}

const Row = ({ session: { session_id: id, status, last_query: query, last_updated: updated } }) => html`
  <span class="ellipsis" dir="auto">${query || html`<span class="mono">${id}</span>`}</span>
  <span class="choice-facts"><span class="muted mono ellipsis">${query ? id : ""}</span><span class="spring"></span>
    ${updated && html`<span class="muted nowrap">${time(updated)}</span>`}${status && html`<${Status} status=${status} />`}</span>`;

/** All sessions, newest first; the first `wanted` with their status. */
async function loadSessions(userId, wanted) {
  const { session_ids: ids } = await get(`/agent/sessionids/${part(userId)}`);
  const known = await Promise.all(ids.slice(0, wanted).map((id) => get(`/agent/status/${part(userId)}/${part(id)}`)));
  return [...known.filter((each) => each.status !== "not_found"), ...ids.slice(wanted).map((id) => ({ session_id: id }))];
}

const matches = ({ session_id: id, last_query: query }, search) => `${id} ${query ?? ""}`.toLowerCase().includes(search.toLowerCase());
const newId = () => `s-${crypto.randomUUID?.() ?? Date.now().toString(36)}`;
