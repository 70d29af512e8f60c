// The charts of what the server counted, by minute.
import { html, useMemo } from "../vendor/preact.js";
import { compact, cost, duration, t } from "../words.js";
import { Chart } from "./chart.js";

const FINE = new Set(["stop", "tool_calls", "length", "interrupted"]);
const MOST_LINES = 5;

/** How many of the turns with these outcomes went well. */
export const succeeded = (outcomes) => Object.entries(outcomes).reduce((sum, [name, n]) => sum + (FINE.has(name) ? n : 0), 0);

/** `points` are those of /stats/timeseries. */
export function StatisticsCharts({ points }) {
  const charts = useMemo(() => chartsOf(points), [points]);
  return html`<div class="charts">${charts.map((each) => html`<${Chart} key=${each.title} ...${each} />`)}</div>`;
}

function chartsOf(points) {
  const times = points.map((each) => Date.parse(each.minute) / 1000);
  const line = (label, read) => ({ label, values: points.map(read) });
  const costs = (group) => largest(points, group, (each) => each.total_cost ?? 0).map((name) => line(name, (each) => each[group][name]?.total_cost ?? 0));
  const failures = largest(points, "failures", (each) => each).map((code) => line(code, (each) => each.failures[code] ?? 0));
  const none = (lines) => (lines.length ? lines : [line(t("none"), () => 0)]);
  return [
    { title: t("Turns per minute"), times, format: compact, series: [
      line(t("succeeded"), (each) => succeeded(each.outcomes)),
      line(t("cancelled"), (each) => each.outcomes.cancelled ?? 0),
      line(t("failed"), (each) => each.turns - succeeded(each.outcomes) - (each.outcomes.cancelled ?? 0)),
    ] },
    { title: t("Time to the first token"), times, format: duration, series: ["p50", "p95", "p99"].map((name) => line(name, (each) => each.first_token_ms[name])) },
    { title: t("Failed attempts by class"), times, format: compact, series: none(failures) },
    { title: t("Cost by model"), times, format: cost, series: none(costs("models")) },
    { title: t("Cost by caller"), times, format: cost, series: none(costs("callers")) },
  ];
}

/** The names of a group with the largest sums of `read` over all points. */
function largest(points, group, read) {
  const sums = new Map();
  for (const point of points) {
    for (const [name, each] of Object.entries(point[group])) sums.set(name, (sums.get(name) ?? 0) + read(each));
  }
  return [...sums].filter(([, sum]) => sum > 0).sort(([, one], [, other]) => other - one).slice(0, MOST_LINES).map(([name]) => name);
}
