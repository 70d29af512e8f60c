// The models of models.yaml and the personas that can be talked with. The value "" is the default.
import { html } from "../vendor/preact.js";
import { get } from "../api.js";
import { t } from "../words.js";
import { useLoad } from "./hooks.js";

export function ModelPicker({ value, onChoose, disabled }) {
  const { data: names = [] } = useLoad(async () => (await get("/v1/models")).data.map((each) => each.id));
  const personas = names.filter((each) => each.startsWith("agent:"));
  const models = names.filter((each) => !each.startsWith("agent:"));
  const options = (list) => list.map((each) => html`<option key=${each} value=${each}>${each}</option>`);
  return html`<label class="inline"><span class="sr-narrow">${t("Model")}</span>
    <select value=${value} disabled=${disabled} onChange=${(event) => onChoose(event.target.value)}>
      <option value="">${t("Default")}</option>
      <optgroup label=${t("Models")}>${options(models)}</optgroup>
      ${personas.length > 0 && html`<optgroup label=${t("Personas")}>${options(personas)}</optgroup>`}
      ${value && !names.includes(value) && html`<option value=${value}>${value}</option>`}
    </select></label>`;
}
