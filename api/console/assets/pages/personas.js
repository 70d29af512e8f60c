// Personas: make one, change it, try it beside the form, and read its conversations.
import { html, useState } from "../vendor/preact.js";
import { get } from "../api.js";
import { link, useLoad } from "../parts/hooks.js";
import { Icon } from "../parts/icons.js";
import { Choice, Heading, Loaded, Split } from "../parts/layout.js";
import { PersonaForm } from "../parts/persona_form.js";
import { PersonaConversations, PersonaTrial } from "../parts/persona_talk.js";
import { t } from "../words.js";

const NEW = "new";

export function Personas({ route: [id = ""] }) {
  const agents = useLoad(() => get("/agents/get-agents"));
  const chosen = agents.data?.find((each) => each.id === id);
  const open = async (agent) => (await agents.reload(), (location.hash = link("personas", agent.id)));
  const list = html`<${Loaded} state=${agents} empty=${t("No persona yet. Create the first one.")}>
    <ul class="choices">${agents.data?.map((each) => html`<li key=${each.id}><a href=${link("personas", each.id)} aria-current=${each.id === id ? "true" : undefined}>
      <b class="ellipsis" dir="auto">${nameOf(each)}</b><span class="muted ellipsis" dir="auto">${each.context}</span></a></li>`)}</ul></${Loaded}>`;
  return html`<div class="page">
    <${Heading} title=${t("Personas")} text=${t("Agents with a context of their own. Any OpenAI client can use one as the model agent:NAME.")}>
      <a class="button primary" href=${link("personas", NEW)}><${Icon} name="plus" />${t("New persona")}</a></${Heading}>
    <${Split} list=${list} chosen=${Boolean(id)} back=${link("personas")}>
      ${id === NEW
        ? html`<${PersonaForm} key=${NEW} onSaved=${open} />`
        : chosen
          ? html`<${Persona} key=${id} agent=${chosen} onChange=${agents.reload} />`
          : html`<div class="nothing muted">${id && agents.data ? t("There is no such persona.") : t("Choose a persona, or create one.")}</div>`}
    </${Split}>
  </div>`;
}

function Persona({ agent, onChange }) {
  const [tab, setTab] = useState("try");
  return html`<div class="persona">
    <${PersonaForm} agent=${agent} onSaved=${onChange} onDeleted=${() => ((location.hash = link("personas")), onChange())} />
    <section class="card stack" aria-label=${nameOf(agent)}>
      <${Choice} label=${nameOf(agent)} value=${tab} onChoose=${setTab} choices=${[["try", t("Try it")], ["stored", t("Conversations")]]} />
      ${tab === "try" ? html`<${PersonaTrial} agent=${agent} />` : html`<${PersonaConversations} agent=${agent} />`}
    </section>
  </div>`;
}

const nameOf = (agent) => agent.name || agent.id;
