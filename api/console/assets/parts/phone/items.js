// What happened in a call, as one reads it: words of both sides, keys, and events of the line.
import { html } from "../../vendor/preact.js";
import { duration, t } from "../../words.js";
import { Icon } from "../icons.js";
import { Question } from "../messages.js";

/** One thing that happened in a call. */
export function Item({ item }) {
  switch (item.role) {
    case "user":
      return html`<${Question} text=${item.text} />`;
    case "keys":
      return html`<article class="message user" aria-label=${t("Keys")}><div class="bubble keys"><${Icon} name="keypad" size=${15} />${item.digits}</div></article>`;
    case "agent":
      return html`<${Utterance} ...${item} />`;
    default:
      return item.kind === "problem"
        ? html`<p class="problem" role="alert">${item.text}</p>`
        : html`<p class=${`call-event ${item.kind}`}>${item.kind === "transfer" && html`<${Icon} name="phone" size=${15} />`}<span>${item.text}</span></p>`;
  }
}

/** What the agent says: what was heard, and what was not yet, or never. */
function Utterance({ text, language, heard, complete, cut, firstMs }) {
  const [, space, rest] = /^(\s*)(.*)$/s.exec(text.slice(heard).trimEnd());
  const unheard = cut && rest !== "";
  return html`<article class="message agent" aria-label=${t("Agent")} aria-busy=${!cut && (!complete || rest !== "")}>
    <p class="plain" dir="auto" lang=${language}><span class="heard">${text.slice(0, heard)}</span>${space}${cut ? html`<s class="unheard">${rest}</s>` : html`<span class="unheard">${rest}</span>`}</p>
    ${(firstMs != null || unheard) && html`<p class="facts">
      ${firstMs != null && html`<span>${t("first word {time}", { time: duration(firstMs) })}</span>`}
      ${unheard && html`<span class="warn">${t("not heard")}</span>`}</p>`}
  </article>`;
}
