// A drill: a turn whose first provider fails on purpose, and how it survives.
import { html, useEffect, useRef, useState } from "../vendor/preact.js";
import { get, stream } from "../api.js";
import { t } from "../words.js";
import { followAnswer } from "./answer.js";
import { useLoad } from "./hooks.js";
import { Loaded } from "./layout.js";
import { Answer } from "./messages.js";
import { Waterfall } from "./waterfall.js";

export function FaultDrill() {
  const faults = useLoad(async () => (await get("/console/faults")).faults);
  const [fault, setFault] = useState("");
  const [answer, setAnswer] = useState(null);
  const leave = useRef(new AbortController());
  useEffect(() => () => leave.current.abort(), []);
  const run = (event) => {
    event.preventDefault();
    const { signal } = leave.current;
    followAnswer(stream("/console/drill", { fault: fault || faults.data[0].name }, { signal }), signal, setAnswer);
  };
  return html`<section class="card stack"><h2>${t("Fault drill")}</h2>
    <p class="muted">${t("The first deployment of this turn fails as you choose, the second is healthy. No real provider is asked, and nothing counts in the breakers or the statistics.")}</p>
    <${Loaded} state=${faults}>
      <form class="row" onSubmit=${run}><label class="grow"><span class="sr">${t("Fault")}</span><select value=${fault || faults.data?.[0].name} onChange=${(event) => setFault(event.target.value)}>
        ${faults.data?.map((each) => html`<option value=${each.name}>${t(each.title)}</option>`)}</select></label>
        <button class="primary" disabled=${answer?.live}>${t("Run")}</button></form></${Loaded}>
    ${answer && html`<div aria-live="polite" class="stack"><${Answer} answer=${answer} />
      ${answer.facts?.attempts && html`<${Waterfall} ms=${answer.facts.ms} attempts=${answer.facts.attempts} />`}</div>`}
  </section>`;
}
