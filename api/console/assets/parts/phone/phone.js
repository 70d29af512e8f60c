// A phone in the page: the call, what was heard of the agent, the keys, and how fast it speaks.
import { html, useEffect, useRef, useState } from "../../vendor/preact.js";
import { t } from "../../words.js";
import { link, useTabState } from "../hooks.js";
import { Icon } from "../icons.js";
import { Composer, Windowed } from "../messages.js";
import { ModelPicker } from "../model_picker.js";
import { useStickToBottom } from "../scrolling.js";
import { beginCall, useCall } from "./current_call.js";
import { Item } from "./items.js";
import { onVoices } from "./voice.js";

const WIDE = matchMedia("(min-width: 1000px)").matches;
const KEYS = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "*", "0", "#"];

export function Phone() {
  const { call, changes, runs } = useCall();
  const [draft, setDraft] = useTabState("phone.draft", "");
  const [user, setUser] = useTabState("user", "");
  const [options, setOptions] = useTabState("phone.options", { model: "", number: "", pace: 15, aloud: false });
  const [keypad, setKeypad] = useState(false);
  const messages = useStickToBottom(changes);
  useEffect(() => {
    if (call) Object.assign(call.speaker, { pace: options.pace, aloud: options.aloud });
  }, [call, options]);
  useFocus(runs ? ".composer textarea" : ".begin-call");
  const canInterrupt = call?.state === "open" && call.speaking && call.mayInterrupt("speech");
  const canSpeak = call?.state === "open" && (!call.speaking || canInterrupt);
  const interrupt = () => (call.interrupt(), document.querySelector(".composer textarea").focus());
  const begin = () => beginCall({ from: user.trim() || "console", to: options.number.trim(), model: options.model });
  useEscape(canInterrupt && interrupt);
  return html`<div class="page chat">
    <section class="conversation" aria-label=${t("Call")}>
      <div class="bar">
        <${CallState} call=${call} runs=${runs} />
        <span class="spring"></span>
        ${call?.started && html`<a class="button quiet" href=${link("sessions", call.from, call.sid)}><${Icon} name="sessions" /><span class="sr-narrow">${t("Open the session")}</span></a>`}
        <a class="button quiet" href=${link("chat")}><${Icon} name="chat" /><span class="sr-narrow">${t("Chat in writing")}</span></a>
      </div>
      <div class="messages" ref=${messages} tabindex="0" role="log" aria-label=${t("Messages")}>
        ${!call && html`<${NoCall} onBegin=${begin} />`}
        ${call && html`<${Windowed} items=${call.items} render=${(item, index) => html`<${Item} key=${index} item=${item} />`} />`}
        ${call?.asked != null && html`<p class="waiting" role="status"><span class="sr">${t("Waiting for the first word")}</span><i></i><i></i><i></i></p>`}
      </div>
      ${runs && keypad && html`<${Keypad} disabled=${call.state !== "open"} onPress=${(digit) => call.press(digit)} />`}
      ${call && html`<div class="call-buttons">
        ${!runs && html`<${BeginButton} text=${t("Call again")} onBegin=${begin} />`}
        ${runs && html`<button disabled=${!canInterrupt} onClick=${interrupt} title=${t("Escape does the same")}><${Icon} name="stop" />${t("Interrupt")}</button>
          <button aria-pressed=${keypad} onClick=${() => setKeypad(!keypad)}><${Icon} name="keypad" />${t("Keypad")}</button>
          <button class="danger" onClick=${() => call.hangUp()}><${Icon} name="phone" />${t("Hang up")}</button>`}
      </div>`}
      ${runs && html`<${Composer} draft=${draft} onDraft=${setDraft} canSend=${canSpeak} onSend=${(text) => (setDraft(""), call.say(text))} />`}
    </section>
    <${Options} user=${user} onUser=${setUser} options=${options} onChange=${setOptions} runs=${runs} />
  </div>`;
}

function useEscape(action) {
  const latest = useRef(action);
  latest.current = action;
  useEffect(() => {
    const listen = (event) => event.key === "Escape" && !event.isComposing && latest.current && latest.current();
    addEventListener("keydown", listen);
    return () => removeEventListener("keydown", listen);
  }, []);
}

/** Moves the focus when the control that had it is replaced. */
function useFocus(selector) {
  const last = useRef(selector);
  useEffect(() => {
    if (last.current !== selector) document.querySelector(selector).focus();
    last.current = selector;
  }, [selector]);
}

const BeginButton = ({ text, onBegin }) => html`<button class="primary begin-call" onClick=${onBegin}><${Icon} name="phone" />${text}</button>`;

const NoCall = ({ onBegin }) => html`<div class="empty">
  <h1>${t("Talk like a phone")}</h1>
  <p class="muted">${t("The agent speaks at the pace of speech, and you can interrupt it in mid-sentence: it then knows only what you heard.")}</p>
  <${BeginButton} text=${t("Call")} onBegin=${onBegin} /></div>`;

/** What the line does, and since when. */
function CallState({ call, runs }) {
  const [, tick] = useState(0);
  useEffect(() => {
    if (!runs) return undefined;
    const timer = setInterval(() => tick((n) => n + 1), 500);
    return () => clearInterval(timer);
  }, [runs]);
  if (!call) return null;
  const state = { ringing: t("Calling..."), open: t("On the phone"), lost: t("Connecting again..."), ended: t("Call ended") }[call.state];
  const kind = { open: "good", lost: "warn" }[call.state] ?? "";
  return html`<span class=${`badge ${kind}`} role="status">${state}</span>
    ${call.started && html`<span class="call-time" aria-label=${t("Length of the call")} role="timer">${length((call.ended ?? Date.now()) - call.started)}</span>`}`;
}

const Keypad = ({ disabled, onPress }) => html`<div class="keypad" role="group" aria-label=${t("Keypad")}>${KEYS.map(
  (key) => html`<button key=${key} type="button" disabled=${disabled} onClick=${() => onPress(key)}>${key}</button>`,
)}</div>`;

function Options({ user, onUser, options, onChange, runs }) {
  const [voices, setVoices] = useState(false);
  useEffect(() => onVoices(setVoices), []);
  return html`<details class="side" open=${WIDE}>
    <summary><${Icon} name="settings" />${t("Settings")}</summary>
    <${ModelPicker} value=${options.model} disabled=${runs} onChoose=${(model) => onChange({ ...options, model })} />
    <label>${t("User")}<input value=${user} maxlength="256" placeholder="console" disabled=${runs} onInput=${(event) => onUser(event.target.value)} /></label>
    <label>${t("Number called")}<input type="tel" value=${options.number} placeholder="+18885550100" disabled=${runs}
      onInput=${(event) => onChange({ ...options, number: event.target.value })} /></label>
    <label>${t("Letters per second: {n}", { n: options.pace })}<input type="range" min="5" max="120" step="1" value=${options.pace}
      onInput=${(event) => onChange({ ...options, pace: Number(event.target.value) })} /></label>
    ${voices && html`<label class="inline"><input type="checkbox" checked=${options.aloud}
      onChange=${(event) => onChange({ ...options, aloud: event.target.checked })} /><span>${t("Speak aloud")}</span></label>`}
    <p class="muted hint">${t("Greeting, numbers and reminders are under phone: in agent.yaml.")}</p>
  </details>`;
}

const length = (ms) => {
  const seconds = Math.floor(ms / 1000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
};

/** The way to the phone, for the bar of the chat. */
export function PhoneLink() {
  const { runs } = useCall();
  return html`<a class="button quiet" href=${link("chat", "phone")}><${Icon} name="phone" /><span class="sr-narrow">${runs ? t("Back to the call") : t("Talk like a phone")}</span></a>`;
}
