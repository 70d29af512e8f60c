// Speaks utterances one after another at the pace of speech, and knows how much of each was heard.
import { languageOf } from "./language.js";
import { sayAloud } from "./voice.js";

const TICK = 50;
const IDEOGRAPHS = String.raw`\p{scx=Han}\p{scx=Hiragana}\p{scx=Katakana}`;
const WORD = new RegExp(String.raw`\s*(?:[${IDEOGRAPHS}]|[^\s${IDEOGRAPHS}]+)`, "uy");
const IDEOGRAPH = new RegExp(`[${IDEOGRAPHS}]`, "u");
/** An ideograph takes as long as so many letters. */
const IDEOGRAPH_LENGTH = 3;
const CLAUSE = /.*?(?:[.,;:!?]+(?=\s|$)|[，。；：！？、]+)/sy;

/** The end of the word after `from`, and its length in letters. Only whole words are heard. */
function nextWord(text, from) {
  WORD.lastIndex = from;
  const [word] = WORD.exec(text) ?? [text.slice(from)]; // only white space is left
  return { end: from + word.length, length: IDEOGRAPH.test(word) ? IDEOGRAPH_LENGTH : word.length };
}

/** The end of the clause after `from`: voices need one to speak well. It is `from` while more of the clause may come. */
function clauseEnd({ text, complete }, from) {
  CLAUSE.lastIndex = from;
  const clause = CLAUSE.exec(text);
  if (clause) return from + clause[0].length;
  return complete ? text.length : from;
}

/**
 * An utterance is `{ text, complete, heard, cut, began }`: `text` grows until it is `complete`, `heard` is how many
 * of its characters were spoken, `cut` whether the rest never will be, `began` when its first word was.
 */
export class Speaker {
  /** Letters in a second. */
  pace = 15;
  aloud = false;
  #queue = [];
  #timer = null;
  #last = 0;
  #letters = 0;
  #voice = null;
  #onProgress;

  constructor(onProgress) {
    this.#onProgress = onProgress;
  }

  /** The utterance that is spoken, or waits for its next words. */
  get current() {
    return this.#queue[0];
  }

  /** The utterance that may still grow. */
  get open() {
    const newest = this.#queue.at(-1);
    return newest?.complete ? undefined : newest;
  }

  add(utterance) {
    this.#queue.push(utterance);
    if (this.#timer !== null) return;
    this.#last = performance.now();
    this.#letters = 0;
    this.#timer = setInterval(() => this.#speak(), TICK);
  }

  /** Stops at once. What was not heard of all utterances is cut. */
  stop() {
    for (const each of this.#queue.splice(0)) each.cut = true;
    this.#voice?.stop();
    this.#voice = null;
    clearInterval(this.#timer);
    this.#timer = null;
  }

  #speak() {
    const now = performance.now();
    this.#letters += ((now - this.#last) / 1000) * this.pace;
    this.#last = now;
    if (this.aloud || this.#voice) this.#letters = 0;
    let moved = false;
    while (this.current && this.#step(this.current)) moved = true;
    if (!this.current) this.stop();
    if (moved) this.#onProgress();
  }

  /** Goes on by a word, or to the next utterance; returns whether it could. */
  #step(utterance) {
    const { text, heard, complete } = utterance;
    if (heard >= text.length) {
      this.#letters = 0;
      if (complete) this.#queue.shift();
      return complete;
    }
    if (this.#voice) return false;
    if (this.aloud) {
      this.#sayClause(utterance);
      return false;
    }
    const { end, length } = nextWord(text, heard);
    if (length > this.#letters) return false;
    this.#letters -= length;
    this.#reach(utterance, end);
    return true;
  }

  #reach(utterance, heard) {
    utterance.began ??= performance.now();
    utterance.heard = Math.max(utterance.heard, heard);
  }

  /** The browser's voice tells how far it is. One that fails is not asked again. */
  #sayClause(utterance) {
    const from = utterance.heard;
    const end = clauseEnd(utterance, from);
    if (end === from) return;
    utterance.began ??= performance.now();
    const clause = utterance.text.slice(from, end);
    this.#voice = sayAloud(clause, languageOf(clause, utterance.language), {
      rate: this.pace / 15,
      onWord: (index) => (this.#reach(utterance, from + index), this.#onProgress()),
      onEnd: (spoken) => {
        this.#voice = null;
        if (spoken) this.#reach(utterance, end);
        else this.aloud = false;
        this.#onProgress();
      },
    });
  }
}
