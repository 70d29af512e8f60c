// The last turns of this server, with their attempts on a common time line.
import { html } from "../vendor/preact.js";
import { get } from "../api.js";
import { clock, compact, cost, duration, readable, t } from "../words.js";
import { useLoad, usePolling } from "./hooks.js";
import { Badge, Loaded } from "./layout.js";
import { failedAttempts } from "./messages.js";
import { succeeded } from "./statistics_charts.js";

const POLL = 2000;

export function RecentTurns() {
  const turns = useLoad(async () => (await get("/console/turns")).turns);
  usePolling(turns.reload, POLL);
  return html`<section class="card stack"><h2>${t("The last turns of this process")}</h2>
    <${Loaded} state=${turns} empty=${t("No turn has ended yet.")}><div class="scroll tall" tabindex="0" role="region" aria-label=${t("The last turns of this process")}>
      ${turns.data?.map((each) => html`<${RecentTurn} key=${each.id} turn=${each} />`)}</div></${Loaded}></section>`;
}

function RecentTurn({ turn }) {
  const kind = succeeded({ [turn.outcome]: 1 }) ? "good" : turn.outcome === "cancelled" ? "" : "bad";
  const failed = failedAttempts(turn.attempts);
  const spliced = turn.attempts.some((each) => each.continues && each.first_token_ms != null);
  return html`<details class="recent"><summary>
    <span class="muted">${clock(turn.ended)}</span><b dir="auto">${turn.model}</b>
    <${Badge} kind=${kind}>${turn.outcome}</${Badge}>
    ${failed > 0 && html`<${Badge} kind="warn">${t("failed attempts: {n}", { n: failed })}</${Badge}>`}
    ${spliced && html`<${Badge} kind="warn">${t("continued")}</${Badge}>`}
    <span class="spring"></span><span class="muted">${[
      turn.first_token_ms != null && t("first token {time}", { time: duration(turn.first_token_ms) }),
      duration(turn.ms),
      `${compact(turn.input_tokens + turn.output_tokens)} ${t("tokens")}`,
      cost(turn.cost),
    ].filter(Boolean).join(" · ")}</span></summary>
  <${Waterfall} ms=${turn.ms} attempts=${turn.attempts} /></details>`;
}

/** One bar for each attempt: pale while it waits for the first token, then full. */
export const Waterfall = ({ ms, attempts }) => html`<ol class="waterfall">${attempts.map((each, index) => {
  const at = (value) => `${Math.min(100, (100 * value) / Math.max(ms, 1))}%`;
  const first = each.first_token_ms;
  const failed = each.outcome === "ok" || each.outcome === "cancelled" ? "" : "failed";
  const notes = [each.outcome, each.hedge && t("hedge"), each.continues && t("continued the answer"), first != null && t("first token {time}", { time: duration(first) }), duration(each.ms)];
  return html`<li key=${index}><div><b class="mono">${readable(each.deployment)}</b><span class=${failed ? "bad" : "muted"}>${notes.filter(Boolean).join(" · ")}</span></div>
    <div class="track" aria-hidden="true">
      <i class=${`wait ${failed}`} style=${{ left: at(each.began_ms), width: at(first ?? each.ms) }}></i>
      ${first != null && html`<i class=${failed} style=${{ left: at(each.began_ms + first), width: at(each.ms - first) }}></i>`}
    </div></li>`;
})}</ol>`;
