// A carrier's part in a call: it asks the server how to begin and what to do at the end, and says who calls.
import { postForm } from "../../api.js";
import { languageOf } from "./language.js";

const PERSONA = "agent:";

/** An id as carriers make it. */
export const newSid = () => `CA${[...crypto.getRandomValues(new Uint8Array(16))].map((each) => each.toString(16).padStart(2, "0")).join("")}`;

export function setupFrame({ from, to, sid, model }, parameters) {
  const persona = model.startsWith(PERSONA) && { agent: model.slice(PERSONA.length) };
  const customParameters = { ...parameters, ...(persona || (model && { model })) };
  return { type: "setup", sessionId: `VX${sid.slice(2)}`, callSid: sid, from, to, direction: "inbound", callType: "PSTN", callStatus: "IN_PROGRESS", customParameters };
}

export const promptFrame = (text, usual) => ({ type: "prompt", voicePrompt: text, lang: languageOf(text, usual), last: true });

/**
 * What holds for all that is said in the call. Throws ApiError or Offline. The greeting is not part of it: the relay says it,
 * to callers with a token.
 */
export async function incoming(call) {
  const relay = (await ask("/phone/incoming", call)).querySelector("ConversationRelay");
  const attribute = (name) => relay.getAttribute(name) ?? undefined;
  return {
    interruptible: attribute("interruptible"),
    preemptible: attribute("preemptible"),
    language: attribute("ttsLanguage") ?? attribute("language"),
    parameters: Object.fromEntries([...relay.querySelectorAll("Parameter")].map((each) => [each.getAttribute("name"), each.getAttribute("value")])),
  };
}

/** The number that the server dials after the relay has ended with `handoffData`; null for none. */
export async function dialledAfter(call, handoffData) {
  const twiml = await ask("/phone/relay/action", call, { SessionStatus: "ended", HandoffData: handoffData });
  return twiml.querySelector("Dial")?.textContent.trim() || null;
}

async function ask(path, { from, to, sid }, more = {}) {
  const fields = { CallSid: sid, From: from, To: to, CallStatus: "in-progress", Direction: "inbound", ...more };
  return new DOMParser().parseFromString(await postForm(path, fields), "text/xml");
}
