// One call with the agent. It speaks the frames of Twilio's ConversationRelay, in the place of Twilio.
import { connection, onConnection } from "../../api.js";
import { t } from "../../words.js";
import { dialledAfter, incoming, newSid, promptFrame, setupFrame } from "./carrier.js";
import { Line } from "./line.js";
import { Speaker } from "./speaker.js";

/** Milliseconds after an interruption in which the server falls silent, also a busy one. */
const QUIET = 200;

/** What stops an utterance, by its `interruptible`; by default, everything. */
const STOPPED_BY = { none: [], false: [], speech: ["speech"], dtmf: ["dtmf"] };

/**
 * `items` is what happened, oldest first: `{ role: "user", text }`, `{ role: "keys", digits }`, `{ role: "agent", ... }`,
 * which is an utterance of the Speaker, and `{ role: "event", text, kind }`. `state` is "ringing", "open", "lost" or "ended".
 */
export class Call {
  items = [];
  state = "ringing";
  started = null;
  ended = null;
  /** When the caller said what the agent has not answered yet. */
  asked = null;
  #onChange;
  #line = null;
  #defaults = {};
  #roundTrip = 0;
  #deafUntil = 0;
  #end = null;
  #forget;

  /** `model` is one of models.yaml, a persona as `agent:NAME`, or "" for the one of agent.yaml. */
  constructor({ from, to, model, onChange }) {
    Object.assign(this, { from, to, model, sid: newSid() });
    this.#onChange = onChange;
    this.speaker = new Speaker(() => (this.#finishIfSaid(), onChange()));
    this.#forget = onConnection(() => !connection.token && this.hangUp());
    this.#ring();
  }

  /** Whether the agent speaks, or is about to go on. */
  get speaking() {
    return this.speaker.current !== undefined;
  }

  /** Whether what is spoken now may be interrupted, by "speech" or by "dtmf". */
  mayInterrupt(means) {
    return (STOPPED_BY[this.speaker.current?.interruptible] ?? ["speech", "dtmf"]).includes(means);
  }

  say(text) {
    if (this.speaking) this.interrupt();
    if (this.state === "ended") return; // the agent was saying goodbye
    this.items.push({ role: "user", text });
    this.#sendWhenQuiet(promptFrame(text, this.#defaults.language));
    this.#onChange();
  }

  press(digit) {
    if (this.speaking && this.mayInterrupt("dtmf")) this.interrupt();
    if (this.state === "ended") return;
    const newest = this.items.at(-1);
    if (newest?.role === "keys") newest.digits += digit;
    else this.items.push({ role: "keys", digits: digit });
    this.#sendWhenQuiet({ type: "dtmf", digit });
    this.#onChange();
  }

  /** Tells the agent what was heard, and that nothing more is. */
  interrupt() {
    const { text, heard, began } = this.speaker.current;
    this.#deafUntil = performance.now() + Math.max(QUIET, 2 * this.#roundTrip);
    this.speaker.stop();
    this.#send({
      type: "interrupt",
      utteranceUntilInterrupt: text.slice(0, heard),
      durationUntilInterruptMs: began === undefined ? 0 : Math.round(performance.now() - began),
    });
    this.asked = null;
    this.#finishIfSaid();
    this.#onChange();
  }

  hangUp() {
    this.#finish(t("You hung up."));
  }

  async #ring() {
    try {
      this.#defaults = await incoming(this);
    } catch (error) {
      return this.#finish(error.message, "problem");
    }
    if (this.state === "ended") return;
    this.#line = new Line({
      onOpen: (roundTrip) => this.#onOpen(roundTrip),
      onFrame: (frame) => this.#onFrame(frame),
      onLost: () => this.#onLost(),
      onEnd: (end, reason) => this.#onEnd(end, reason),
    });
  }

  #onOpen(roundTrip) {
    const isFirst = this.started === null;
    this.started ??= Date.now();
    this.state = "open";
    this.#roundTrip = roundTrip;
    this.#send(setupFrame(this, this.#defaults.parameters));
    if (!isFirst) this.#note(t("The connection is back. The call goes on."));
    this.#onChange();
  }

  #onLost() {
    const { open } = this.speaker;
    if (open) open.complete = true; // the rest of it is lost
    this.state = "lost";
    this.asked = null;
    this.#note(t("The connection is lost. The call connects again by itself."));
    this.#onChange();
  }

  #onEnd(end, reason) {
    if (end === "closed") return this.#finish(t("The server ended the call."));
    if (end === "replaced") return this.#finish(t("The call goes on at another place."));
    if (end === "refused") return this.#finish(reason || t("The server ended the call."), "problem");
    this.#finish(t("The server answers, but does not open the WebSocket /phone/relay. Does a proxy between here and the server pass WebSockets on?"), "problem");
  }

  #onFrame(frame) {
    switch (frame.type) {
      case "text":
        this.#onText(frame);
        break;
      case "play":
        this.#note(t("The agent plays {source}", { source: frame.source }));
        break;
      case "sendDigits":
        this.#note(t("The agent presses {digits}", { digits: frame.digits }));
        break;
      case "language":
        this.#defaults.language = frame.ttsLanguage ?? this.#defaults.language;
        this.#note(t("The agent changes the language to {language}", { language: frame.ttsLanguage ?? frame.transcriptionLanguage }));
        break;
      case "end":
        this.#end = frame;
        this.#line.close();
        if (this.speaker.open) this.speaker.open.complete = true;
        this.#finishIfSaid();
    }
    this.#onChange();
  }

  #onText({ token = "", last = false, lang, interruptible, preemptible }) {
    if (performance.now() < this.#deafUntil) return;
    const { open } = this.speaker;
    if (open) open.text += token;
    else if (token) {
      if (this.speaker.current?.preemptible) this.speaker.stop();
      this.#speak({ text: token, language: lang, interruptible, preemptible: isTrue(preemptible ?? this.#defaults.preemptible), firstMs: this.asked && performance.now() - this.asked });
      this.asked = null;
    }
    if (last && this.speaker.open) this.speaker.open.complete = true;
  }

  #speak(utterance) {
    const { interruptible, language } = this.#defaults;
    const given = Object.fromEntries(Object.entries(utterance).filter(([, value]) => value !== undefined));
    const whole = { role: "agent", heard: 0, complete: false, cut: false, interruptible, language, ...given };
    this.items.push(whole);
    this.speaker.add(whole);
  }

  #send(frame) {
    if (this.state === "open") this.#line.send(frame);
  }

  /**
   * Until the server learns of an interruption, it sends more of the old turn. Nothing tells these words from new ones but the
   * time, so what the caller says waits, as somebody who speaks has not finished in less.
   */
  #sendWhenQuiet(frame) {
    const send = () => {
      if (this.state !== "open") return;
      if (frame.type === "prompt") this.asked = performance.now();
      this.#send(frame);
      this.#onChange();
    };
    const wait = this.#deafUntil - performance.now();
    if (wait > 0) setTimeout(send, wait);
    else send();
  }

  /** A carrier says what is left before it ends the call. */
  #finishIfSaid() {
    if (!this.#end || this.speaking) return;
    const { handoffData } = this.#end;
    if (handoffData) this.#transfer(handoffData);
    else this.#finish(t("The agent ended the call."));
  }

  async #transfer(handoffData) {
    this.#finish();
    try {
      const number = await dialledAfter(this, handoffData);
      if (number) this.#note(t("Transferred to {number}", { number }), "transfer");
      else this.#note(t("The agent ended the call."));
    } catch (error) {
      this.#note(error.message, "problem");
    }
    this.#onChange();
  }

  #note(text, kind = "info") {
    this.items.push({ role: "event", text, kind });
  }

  #finish(text, kind) {
    if (this.state === "ended") return;
    this.speaker.stop();
    this.#line?.close();
    this.#forget();
    Object.assign(this, { state: "ended", ended: Date.now(), asked: null });
    if (text) this.#note(text, kind);
    this.#onChange();
  }
}

const isTrue = (value) => value === true || value === "true";
