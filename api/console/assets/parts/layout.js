// The frame of a page with a list beside its details, and the states that every list has.
import { html } from "../vendor/preact.js";
import { t } from "../words.js";
import { Icon } from "./icons.js";

export const Heading = ({ title, text, children }) => html`<header class="heading">
  <div><h1>${title}</h1>${text && html`<p class="muted">${text}</p>`}</div><div class="buttons">${children}</div></header>`;

/** Shows a wait, an error if nothing could be loaded yet, an empty list, or the children. */
export function Loaded({ state, empty, children }) {
  if (state.error && state.data === undefined) {
    return html`<div class="problem row" role="alert"><span class="grow">${state.error.message}</span>
      <button class="quiet" onClick=${state.reload}><${Icon} name="again" size=${15} />${t("Try again")}</button></div>`;
  }
  if (state.data === undefined) return html`<p class="muted" role="status">${t("Loading...")}</p>`;
  const nothing = Array.isArray(state.data) && state.data.length === 0;
  return nothing && empty ? html`<div class="nothing muted">${empty}</div>` : children;
}

/** A list of links beside what is chosen in it. On a narrow screen one of the two is shown. */
export const Split = ({ list, chosen, back, children }) => html`<div class=${`split ${chosen ? "has-choice" : ""}`}>
  <div class="split-list">${list}</div>
  <div class="split-detail">${chosen && html`<a class="back" href=${back}>← ${t("Back")}</a>`}${children}</div>
</div>`;

/** Buttons of which one is chosen. `choices` are `[value, words]`. */
export const Choice = ({ label, choices, value, onChoose }) => html`<div class="choice-group" role="group" aria-label=${label}>${choices.map(
  ([each, words]) => html`<button key=${each} type="button" class="quiet" aria-pressed=${each === value} onClick=${() => onChoose(each)}>${words}</button>`,
)}</div>`;

export const Badge = ({ kind = "", children }) => html`<span class=${`badge ${kind}`}>${children}</span>`;

const STATUS = { completed: "good", running: "warn", interrupted: "warn", queued: "", error: "bad", cancelled: "", idle: "" };

export const Status = ({ status }) => html`<${Badge} kind=${STATUS[status] ?? ""}>${t(status)}</${Badge}>`;
