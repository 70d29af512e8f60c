// Charts over time, drawn by uPlot in the page's colours.
import { html, useEffect, useMemo, useRef } from "../vendor/preact.js";
import { uPlot } from "../vendor/charts.js";
import { clock, hourAndMinute, t } from "../words.js";

const COLOURS = ["--accent", "--warn", "--bad", "--good", "--muted"];

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** `times` in Unix seconds; `series` are `{ label, values }`. `format` writes a value of the axis. */
export function Chart({ title, times, series, format = String, height = 170 }) {
  const element = useRef(null);
  const plot = useRef(null);
  // The legend has the newest values, until the pointer is over the chart.
  const shown = (value) => (value == null ? "-" : format(value));
  const names = series.map((each) => each.label).join();
  const data = useMemo(() => [times, ...series.map((each) => each.values)], [times, series]);
  useEffect(() => {
    const box = element.current;
    const axis = { stroke: colour("--muted"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font: "12px system-ui" };
    plot.current = new uPlot(
      {
        width: box.clientWidth, height,
        cursor: { y: false },
        legend: { live: true },
        scales: { y: { range: (_, low, high) => [0, 1.1 * (high || 1)] } },
        axes: [{ ...axis, size: 30, values: (_, ticks) => ticks.map(hourAndMinute) }, { ...axis, size: 62, values: (_, ticks) => ticks.map(format) }],
        series: [
          { label: t("Time"), value: (plot, at) => clock(at ?? plot.data[0].at(-1)) },
          ...series.map(({ label }, index) => ({
            label, stroke: colour(COLOURS[index % COLOURS.length]), width: 2, spanGaps: true, points: { size: 4 },
            value: (plot, value) => shown(value ?? newest(plot.data[index + 1])),
          })),
        ],
      },
      data, box,
    );
    const resize = new ResizeObserver(() => plot.current.setSize({ width: box.clientWidth, height }));
    resize.observe(box);
    return () => (resize.disconnect(), plot.current.destroy());
  }, [names, document.documentElement.dataset.theme]);
  useEffect(() => plot.current.setData(data), [data]);
  return html`<figure class="chart card"><figcaption>${title}</figcaption><div ref=${element} role="img" aria-label=${summary(title, series, format)}></div></figure>`;
}

const newest = (values) => values.findLast((each) => each != null);

/** The newest values in words, for those who cannot see the chart. */
const summary = (title, series, format) =>
  `${title}: ${series.map(({ label, values }) => `${label} ${format(newest(values) ?? 0)}`).join(", ")}. ${t("Newest values.")}`;

/** A line without axes. */
export function Sparkline({ values, label }) {
  const known = values.filter((each) => each != null);
  if (known.length < 2) return null;
  const most = Math.max(...known);
  const points = values.map((each, index) => each == null ? null : `${(index / (values.length - 1)) * 96 + 2},${22 - (each / most) * 20}`);
  return html`<svg class="sparkline" viewBox="0 0 100 24" width="64" height="20" role="img" aria-label=${label}><polyline points=${points.filter(Boolean).join(" ")} /></svg>`;
}
