// How the server does: turns, latencies, failures and costs, the deployments, and the last turns.
import { html, useState } from "../vendor/preact.js";
import { get, post } from "../api.js";
import { Confirm } from "../parts/dialog.js";
import { Deployments } from "../parts/deployments.js";
import { FaultDrill } from "../parts/fault_drill.js";
import { useLoad, usePolling } from "../parts/hooks.js";
import { Badge, Choice, Heading, Loaded } from "../parts/layout.js";
import { attempt } from "../parts/notices.js";
import { StatisticsCharts, succeeded } from "../parts/statistics_charts.js";
import { RecentTurns } from "../parts/waterfall.js";
import { compact, cost, duration, percent, t, time } from "../words.js";

const LIVE = 15;
const POLL = 2000;

export function Operations() {
  const [minutes, setMinutes] = useState(LIVE);
  const [resetting, setResetting] = useState(false);
  const health = useLoad(() => get("/health"));
  const stats = useLoad(() => get("/stats"));
  const limits = useLoad(() => get("/console/limits"));
  const series = useLoad(async () => (await get(`/stats/timeseries?minutes=${minutes}`)).points, [minutes]);
  usePolling(() => (health.reload(), stats.reload(), limits.reload()), POLL);
  usePolling(series.reload, minutes > LIVE ? 10 * POLL : POLL);
  return html`<div class="page">
    <${Heading} title=${t("Operations")} text=${stats.data && t("Since {time}, over all servers.", { time: time(Date.parse(stats.data.since) / 1000) })}>
      <button class="quiet" onClick=${() => setResetting(true)}>${t("Count anew")}</button></${Heading}>
    <${Loaded} state=${stats}>${stats.data && html`<${Tiles} stats=${stats.data} />`}</${Loaded}>
    <${Choice} label=${t("Time range")} value=${minutes} onChoose=${setMinutes} choices=${[[LIVE, t("Live")], [60, t("Last hour")], [1440, t("Last day")]]} />
    <${Loaded} state=${series}>${series.data && html`<${StatisticsCharts} points=${series.data} />`}</${Loaded}>
    <${Loaded} state=${health}>${health.data && html`<${Deployments} deployments=${health.data.deployments} counts=${stats.data?.deployments ?? {}} limits=${limits.data ?? {}} points=${series.data ?? []} />`}</${Loaded}>
    <${RecentTurns} />
    ${stats.data && html`<div class="charts"><${Shares} title=${t("By model")} shares=${stats.data.models} /><${Shares} title=${t("By caller")} shares=${stats.data.callers} /></div>`}
    <div class="charts">${health.data && html`<${Files} health=${health.data} />`}<${FaultDrill} /></div>
    ${resetting && html`<${Confirm} title=${t("Count anew?")} text=${t("The totals begin at zero. The reset is recorded, and the charts stay.")} action=${t("Count anew")}
      onClose=${() => setResetting(false)} onConfirm=${() => attempt(async () => (await post("/reset-stats"), stats.reload()))} />`}
  </div>`;
}

const Tiles = ({ stats }) => html`<div class="tiles">${[
  [compact(stats.running), t("running now")],
  [compact(stats.turns), t("turns")],
  [percent(succeeded(stats.outcomes), stats.turns), t("succeeded")],
  [duration(stats.first_token_ms.p50), t("first token, p50")],
  [duration(stats.first_token_ms.p95), t("first token, p95")],
  [duration(stats.first_token_ms.p99), t("first token, p99")],
  [compact(stats.total_tokens), t("tokens")],
  [cost(stats.total_cost), t("cost")],
].map(([value, label]) => html`<div class="tile card"><b>${value}</b><span>${label}</span></div>`)}</div>`;

/** The last load of the files, and the MCP servers. */
const Files = ({ health: { reload, mcp_servers: servers } }) => html`<section class="card stack"><h2>${t("Files and servers")}</h2>
  <p>${reload.ok ? html`<${Badge} kind="good">${t("in use")}</${Badge}>` : html`<${Badge} kind="bad">${t("refused")}</${Badge}>`} ${t("last load of models.yaml and agent.yaml: {time}", { time: time(Date.parse(reload.at) / 1000) })}</p>
  ${reload.problems.map((each) => html`<p class="problem mono">${each}</p>`)}
  <h3>${t("MCP servers")}</h3>
  ${Object.keys(servers).length
    ? html`<ul class="rows">${Object.entries(servers).map(([name, each]) => html`<li><${Badge} kind=${each.state === "connected" ? "good" : "bad"}>${t(each.state)}</${Badge}><b>${name}</b><span class="muted">${each.reason ?? t("{n} tools", { n: each.tools })}</span></li>`)}</ul>`
    : html`<p class="muted">${t("agent.yaml names no MCP server.")}</p>`}</section>`;

const Shares = ({ title, shares }) => html`<section class="card stack"><h2>${title}</h2><div class="scroll" tabindex="0" role="region" aria-label=${title}><table class="data"><thead><tr>
  <th>${t("Name")}</th><th class="number">${t("Turns")}</th><th class="number">${t("Tokens")}</th><th class="number">${t("Cost")}</th></tr></thead><tbody>
  ${Object.entries(shares).sort(([, one], [, other]) => other.turns - one.turns).slice(0, 50).map(([name, each]) => html`<tr key=${name}><td dir="auto">${name}</td>
    <td class="number">${compact(each.turns)}</td><td class="number">${compact(each.total_tokens)}</td><td class="number">${cost(each.total_cost)}</td></tr>`)}
  ${!Object.keys(shares).length && html`<tr><td colspan="4" class="muted">${t("Nothing yet.")}</td></tr>`}</tbody></table></div></section>`;
