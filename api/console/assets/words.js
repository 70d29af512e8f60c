// Translations. The key is the English text; `{name}` is replaced by a value.
import { chinese } from "./words/chinese.js";

const LANGUAGE = "switchboard.language";

export const language = localStorage.getItem(LANGUAGE) ?? (navigator.language.startsWith("zh") ? "zh" : "en");
document.documentElement.lang = language === "zh" ? "zh-CN" : "en";

export function chooseLanguage(chosen) {
  localStorage.setItem(LANGUAGE, chosen);
  location.reload();
}

/** `text` in the chosen language. */
export function t(text, values = {}) {
  const words = language === "zh" ? (chinese[text] ?? text) : text;
  return words.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

const locale = language === "zh" ? "zh-CN" : undefined;
const number = new Intl.NumberFormat(locale);
const short = new Intl.NumberFormat(locale, { notation: "compact", maximumFractionDigits: 1 });

export const compact = (value) => (Math.abs(value) < 10_000 ? number.format(value) : short.format(value));
export const time = (seconds) => new Date(seconds * 1000).toLocaleString(locale, { dateStyle: "medium", timeStyle: "short" });

const minute = new Intl.DateTimeFormat(locale, { hour: "2-digit", minute: "2-digit" });
export const hourAndMinute = (seconds) => minute.format(seconds * 1000);
export const clock = (seconds) => new Date(seconds * 1000).toLocaleTimeString(locale);

/** Milliseconds for people: "84 ms", "1.9 s". A missing value is "-". */
export const duration = (ms) => {
  if (ms == null) return "-";
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(ms < 10_000 ? 1 : 0)} s`;
};

/** US dollars; null is a price that nobody knows. */
export function cost(dollars) {
  if (dollars === null || dollars === undefined) return t("no price");
  if (dollars === 0) return "$0";
  return dollars < 0.01 ? `$${dollars.toPrecision(2)}` : `$${dollars.toFixed(2)}`;
}

/** A percent-encoded text for people, such as the id of a deployment. */
export function readable(id) {
  try {
    return decodeURIComponent(id);
  } catch {
    return id;
  }
}

export const percent = (part, whole) => (whole ? `${((100 * part) / whole).toFixed(1)} %` : "-");
