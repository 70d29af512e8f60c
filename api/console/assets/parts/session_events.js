// Folds the events of /agent/invoke/stream into the parts of an answer, and stored messages into items.
import { withEvent } from "./answer.js";

/** The answer after one event of a session's turn. */
export function withSessionEvent(answer, event) {
  switch (event.type) {
    case "text_chunk":
      return withEvent(answer, { type: "content", chunk: event.content });
    case "tool_call":
      return event.data.tool_calls.reduce((all, call) => withEvent(all, { ...call, type: "tool_start" }), answer);
    case "restarted":
      return withoutLastText(answer);
    case "interrupt":
    case "completed":
      return { ...answer, live: false };
    case "error":
      return { ...answer, live: false, error: event.error_message, code: event.code };
    default:
      return answer;
  }
}

/** The items of a stored conversation. A tool's result belongs to the call before it. */
export function itemsOf(messages) {
  const items = [];
  const calls = new Map();
  for (const message of messages) {
    switch (message.role) {
      case "user":
        items.push({ role: "user", text: textOf(message.content) });
        break;
      case "assistant": {
        const text = textOf(message.content);
        const parts = text ? [{ type: "text", text }] : [];
        for (const { id, name, args } of message.tool_calls ?? []) {
          calls.set(id, { type: "tool", name, args });
          parts.push(calls.get(id));
        }
        // Steps of one turn are one answer.
        if (items.at(-1)?.role === "assistant") items.at(-1).parts.push(...parts);
        else items.push({ role: "assistant", parts, live: false });
        break;
      }
      case "tool":
        Object.assign(calls.get(message.tool_call_id) ?? {}, { result: textOf(message.content), ok: message.status !== "error" });
    }
  }
  return items;
}

/** A new worker says the text since the last tool call again. */
function withoutLastText(answer) {
  const end = answer.parts.findLastIndex((each) => each.type === "tool") + 1;
  return { ...answer, parts: answer.parts.slice(0, end) };
}

const textOf = (content) =>
  typeof content === "string" ? content : (content ?? []).map((each) => (typeof each === "string" ? each : (each.text ?? ""))).join("");
