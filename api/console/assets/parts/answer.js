// Folds the events of one streamed turn into the parts of an answer.
import { t } from "../words.js";

export const newAnswer = () => ({ role: "assistant", parts: [], facts: null, error: null, live: true });

/** The answer after `event`; the old one stays as it is. */
export function withEvent(answer, event) {
  const parts = answer.parts;
  switch (event.type) {
    case "content":
      return { ...answer, parts: appended(parts, "text", event.chunk) };
    case "reasoning":
      return { ...answer, parts: appended(parts, "reasoning", event.chunk) };
    case "tool_start":
      return { ...answer, parts: [...parts, { type: "tool", id: event.id, name: event.name, args: event.args }] };
    case "tool_end":
      return { ...answer, parts: finished(parts, event) };
    case "hand_off":
      return { ...answer, parts: [...parts, { type: "hand_off", name: event.name, args: event.arguments }] };
    case "continued":
      return { ...answer, parts: [...parts, { type: "continued", deployment: event.deployment }] };
    case "complete":
      return { ...answer, facts: event, live: false };
    case "error":
      return { ...answer, facts: event, error: event.error, live: false };
    default:
      return answer;
  }
}

/** The text of an answer, as a model is sent it. */
export const textOf = (answer) => answer.parts.filter((each) => each.type === "text").map((each) => each.text).join("");

/**
 * Reads `events` into an answer and calls `onChange` with each state of it, at most once for each frame of the screen.
 * Returns the last state, which has the `failure` that reading threw, or `stopped` if `signal` was aborted.
 */
export async function followAnswer(events, signal, onChange, fold = withEvent) {
  let answer = newAnswer();
  let drawing = null;
  const draw = () => ((drawing = null), onChange(answer));
  draw();
  try {
    for await (const event of events) {
      answer = fold(answer, event);
      drawing ??= setTimeout(draw, FRAME);
    }
    if (answer.live) answer = { ...answer, error: t("The answer broke off.") };
  } catch (failure) {
    answer = signal.aborted ? { ...answer, stopped: true } : { ...answer, failure, error: failure.message };
  }
  clearTimeout(drawing);
  answer = { ...answer, live: false };
  onChange(answer);
  return answer;
}

const FRAME = 30;

function appended(parts, type, text) {
  const last = parts.at(-1);
  return last?.type === type ? [...parts.slice(0, -1), { ...last, text: last.text + text }] : [...parts, { type, text }];
}

/** The event of `/chat/stream` names the tool only; a tool of that name that still runs is meant. */
function finished(parts, { id, name, result, ok }) {
  const index = parts.findIndex((each) => each.type === "tool" && each.result === undefined && (id ? each.id === id : each.name === name));
  return index < 0 ? parts : parts.with(index, { ...parts[index], result, ok });
}
