// Shown while no provider has a key: everything works on the fake model, and how to add a real one.
import { html } from "../vendor/preact.js";
import { get } from "../api.js";
import { t } from "../words.js";
import { useLoad, usePolling } from "./hooks.js";

export function FirstRun() {
  const health = useLoad(() => get("/health"));
  usePolling(health.reload, 5000);
  if (!health.data) return null;
  const { deployments } = health.data;
  if (deployments.some((each) => each.state === "ready" && !each.model.startsWith("fake/"))) return null;
  const keys = [...new Set(deployments.flatMap((each) => (each.state === "missing_key" ? each.missing : [])))].slice(0, 6);
  return html`<aside class="first-run card" aria-label=${t("First run")}>
    <h2>${t("No provider has a key yet")}</h2>
    <p>${t("The fake model answers, so you can try everything. To use a real one, put its key into the file .env; it is ready within a second, without a restart.")}</p>
    ${keys.length > 0 && html`<pre>${keys.map((each) => `${each}=...`).join("\n")}</pre>`}
  </aside>`;
}
