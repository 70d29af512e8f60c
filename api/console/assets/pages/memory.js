// What the agent remembers of a user.
import { html, useState } from "../vendor/preact.js";
import { get, post, remove } from "../api.js";
import { link, useLoad } from "../parts/hooks.js";
import { Heading, Loaded } from "../parts/layout.js";
import { IconButton } from "../parts/messages.js";
import { attempt, notify } from "../parts/notices.js";
import { UserPicker } from "../parts/user.js";
import { t, time } from "../words.js";

const part = encodeURIComponent;

export const Memory = ({ route: [userId = ""] }) => html`<div class="page">
  <${Heading} title=${t("Memory")} text=${t("What the agent remembers of a user from one conversation to the next.")} />
  <${UserPicker} value=${userId} onChoose=${(chosen) => (location.hash = link("memory", chosen))} />
  ${userId && html`<${Memories} key=${userId} userId=${userId} />`}
</div>`;

function Memories({ userId }) {
  const [query, setQuery] = useState("");
  const [text, setText] = useState("");
  const memories = useLoad(
    async () => (await get(`/agent/longterm/${part(userId)}?limit=1000${query ? `&query=${part(query)}` : ""}`)).memories,
    [userId, query],
  );
  const add = async (event) => {
    event.preventDefault();
    try {
      await post("/agent/write/longterm", { user_id: userId, memory_info: text.trim() });
      setText("");
      memories.reload();
    } catch (error) {
      notify(error.message, "problem");
    }
  };
  const forget = (id) => attempt(async () => (await remove(`/agent/longterm/${part(userId)}/${id}`), memories.reload()), t("Forgotten"));
  return html`<section class="stack">
    <form class="row" onSubmit=${add}><label class="grow"><span class="sr">${t("New memory")}</span>
      <input value=${text} placeholder=${t("Prefers a quiet room")} onInput=${(event) => setText(event.target.value)} /></label>
      <button class="primary" disabled=${!text.trim()}>${t("Remember")}</button></form>
    <label class="search"><span class="sr">${t("Search")}</span><input type="search" placeholder=${t("Search by meaning")} onChange=${(event) => setQuery(event.target.value)} /></label>
    <${Loaded} state=${memories} empty=${query ? t("Nothing found.") : t("The agent remembers nothing of this user.")}>
      <ul class="rows">${memories.data?.map((each) => html`<li key=${each.id}><span>${each.content}</span>
        <span class="muted">${time(each.created)}</span>
        <${IconButton} icon="trash" label=${t("Forget")} onClick=${() => forget(each.id)} /></li>`)}</ul></${Loaded}>
  </section>`;
}
