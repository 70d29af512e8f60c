// The browser's own voices. Some browsers have none, and some voices do not tell where they are.

/** Calls `listener` with whether there are voices, now and when they change; returns a function that stops it. */
export function onVoices(listener) {
  const voices = globalThis.speechSynthesis;
  const tell = () => listener(Boolean(voices?.getVoices().length));
  tell();
  voices?.addEventListener("voiceschanged", tell);
  return () => voices?.removeEventListener("voiceschanged", tell);
}

/**
 * Says `text`. `onWord` is called with the index at which a word begins, `onEnd` once with whether it was spoken.
 * `stop()` of the result ends it, without `onEnd`.
 */
export function sayAloud(text, language, { rate, onWord, onEnd }) {
  const utterance = new SpeechSynthesisUtterance(text);
  Object.assign(utterance, {
    rate: Math.min(Math.max(rate, 0.5), 3),
    lang: language,
    onboundary: ({ name, charIndex }) => name === "word" && onWord(charIndex),
    onend: () => onEnd(true),
    onerror: () => onEnd(false),
  });
  speechSynthesis.speak(utterance);
  const stop = () => {
    Object.assign(utterance, { onboundary: null, onend: null, onerror: null });
    speechSynthesis.cancel();
  };
  return { stop };
}
