// The deployments: how their breakers stand, how well and how fast they answer, and what they may take.
import { html, useMemo, useState } from "../vendor/preact.js";
import { compact, cost, duration, percent, readable, t } from "../words.js";
import { Sparkline } from "./chart.js";
import { Badge } from "./layout.js";

const SEARCHABLE = 8;
const MOST_MINUTES = 60;
const BREAKER = { closed: "good", open: "bad", "half-open": "warn" };

/** `counts` are those of /stats by deployment, `points` those of /stats/timeseries, `limits` those of /console/limits. */
export function Deployments({ deployments, counts, limits, points }) {
  const [search, setSearch] = useState("");
  const sought = search.toLowerCase();
  const found = deployments.filter((each) => `${each.id} ${each.model_name} ${each.model}`.toLowerCase().includes(sought));
  const recent = useMemo(() => points.slice(-MOST_MINUTES), [points]);
  return html`<section class="card stack"><header class="bar flat"><h2>${t("Deployments")}</h2><span class="muted">${found.length}</span><span class="spring"></span>
      ${deployments.length > SEARCHABLE && html`<label class="search"><span class="sr">${t("Search")}</span><input type="search" placeholder=${t("Search")} value=${search} onInput=${(event) => setSearch(event.target.value)} /></label>`}</header>
    <div class="scroll tall" tabindex="0" role="region" aria-label=${t("Deployments")}><table class="data"><thead><tr>
      <th>${t("Deployment")}</th><th>${t("Breaker")}</th><th class="number">${t("Success")}</th><th class="number">${t("First token")}</th>
      <th class="number">${t("In flight")}</th><th class="number">${t("Limits")}</th><th class="number">${t("Cost")}</th><th>${t("Last failure")}</th></tr></thead>
    <tbody>${found.map((each) => html`<${Row} key=${each.id} deployment=${each} counted=${counts[each.id]} limit=${limits[each.id]} points=${recent} />`)}</tbody></table></div></section>`;
}

function Row({ deployment: each, counted, limit, points }) {
  const failed = counted ? Object.values(counted.failures).reduce((sum, n) => sum + n, 0) : 0;
  return html`<tr>
    <td><b dir="auto">${each.model_name}</b><div class="mono" dir="auto">${readable(each.id)}</div><div class="muted">${each.model}</div></td>
    <td><${State} deployment=${each} /></td>
    <td class="number">${percent((counted?.attempts ?? 0) - failed, counted?.attempts)}</td>
    <td class="number"><span class="spark">${duration(each.first_token_ms)}
      <${Sparkline} label=${t("Time to the first token, by minute")} values=${points.map((point) => point.deployments[each.id]?.first_token_ms.p50)} /></span></td>
    <td class="number">${each.in_flight}</td>
    <td class="number">${limit ? html`<${Used} used=${limit.requests} most=${limit.rpm} unit="rpm" /><${Used} used=${limit.tokens} most=${limit.tpm} unit="tpm" />` : "-"}</td>
    <td class="number">${counted ? cost(counted.total_cost) : "-"}</td>
    <td>${each.last_error ?? "-"}</td></tr>`;
}

const Used = ({ used, most, unit }) => most != null && html`<div>${compact(used)} / ${compact(most)} ${unit}</div>`;

const State = ({ deployment: { state, missing, breaker, breaker_reason: reason } }) =>
  state === "ready"
    ? html`<${Badge} kind=${BREAKER[breaker]}>${t(breaker)}</${Badge}>${reason && html`<div class="muted">${reason}</div>`}`
    : html`<${Badge} kind="warn">${t("not usable")}</${Badge}><div class="muted">${t("needs {what}", { what: missing.join(", ") })}</div>`;
