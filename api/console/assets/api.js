// Calls of the server's API. The token goes into a header and never into a URL.
import { createParser } from "./vendor/sse.js";
import { t } from "./words.js";

const TOKEN = "switchboard.token";
const root = new URL("./", document.baseURI);
const listeners = new Set();

export const connection = { token: sessionStorage.getItem(TOKEN) ?? "", refused: false, offline: false };

/** Calls `listener` when the token or the connection changes; returns a function that stops it. */
export function onConnection(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function change(values) {
  Object.assign(connection, values);
  for (const each of listeners) each();
}

/** An answer of the server that is an error. `message` is written for people. */
export class ApiError extends Error {
  constructor(status, { message, code, param } = {}) {
    super(message ?? t("The server answered {status}.", { status }));
    Object.assign(this, { status, code, param });
  }
}

/** The server does not answer. */
export class Offline extends Error {}

export const address = (path) => new URL(path.replace(/^\//, ""), root).href;

/** Checks `token` against the server and keeps it for this tab. Throws ApiError or Offline. */
export async function signIn(token) {
  // No token has other characters, and a header cannot carry them.
  if (!/^[\x21-\x7e]+$/.test(token)) throw new ApiError(401);
  await send("/v1/models", { token });
  sessionStorage.setItem(TOKEN, token);
  change({ token, refused: false });
}

/** Forgets the token and what the tab keeps. Of a user whose token was `refused`, the tab keeps what was typed. */
export function signOut(refused = false) {
  if (refused) sessionStorage.removeItem(TOKEN);
  else sessionStorage.clear();
  change({ token: "", refused });
}

export const get = (path) => call("GET", path);
export const post = (path, body = {}) => call("POST", path, body);
export const patch = (path, body) => call("PATCH", path, body);
export const put = (path, body) => call("PUT", path, body);
export const remove = (path) => call("DELETE", path);

/** Sends `fields` as a form, and returns the answer's text. */
export async function postForm(path, fields) {
  return (await send(path, { method: "POST", form: new URLSearchParams(fields) })).text();
}

async function call(method, path, body) {
  return (await send(path, { method, body })).json();
}

/** Yields the JSON objects of the answer's server-sent events. */
export async function* stream(path, body, { signal, method = "POST" } = {}) {
  const response = await send(path, { method, body, signal });
  const events = [];
  const parser = createParser({ onEvent: ({ data }) => events.push(JSON.parse(data)) });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      parser.feed(value);
      yield* events.splice(0);
    }
  } catch (error) {
    if (signal?.aborted) throw error;
    throw lost(error);
  } finally {
    reader.cancel().catch(() => {});
  }
}

async function send(path, { method = "GET", body, form, signal, token = connection.token } = {}) {
  let response;
  try {
    response = await fetch(address(path), {
      method,
      signal,
      cache: "no-store",
      headers: {
        authorization: `Bearer ${token}`,
        ...(body && { "content-type": "application/json" }),
      },
      body: form ?? (body && JSON.stringify(body)),
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw lost(error);
  }
  if (response.ok) return response;
  if ([502, 503, 504].includes(response.status) && !(response.headers.get("content-type") ?? "").includes("json")) throw lost();
  const { error } = await response.json().catch(() => ({}));
  if (response.status === 401 && token === connection.token && token) signOut(true);
  throw new ApiError(response.status, error);
}

let probing = false;

/** Shows that the server is gone, and looks for it until it is back. */
function lost(cause) {
  change({ offline: true });
  if (!probing) probe(500);
  return new Offline(t("The server does not answer."), { cause });
}

function probe(delay) {
  probing = true;
  setTimeout(async () => {
    try {
      // A proxy in front of a server that is gone answers too, but not with JSON.
      await (await fetch(address("/health"), { cache: "no-store" })).json();
      probing = false;
      change({ offline: false });
    } catch {
      probe(Math.min(delay * 1.5, 5000));
    }
  }, delay);
}
