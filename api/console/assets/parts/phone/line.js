// The WebSocket of a call. It connects again until it is closed.
import { address, connection, get, onConnection } from "../../api.js";

const FIRST_DELAY = 250;
const LONGEST_DELAY = 5000;
/** Handshakes that fail one after another while the server answers otherwise. */
const MOST_FAILURES = 3;
/** Close codes after which the call does not go on; 4000: it has a newer connection. */
const ENDS = { 1000: "closed", 1008: "refused", 4000: "replaced" };

/**
 * `onOpen(roundTrip)`, `onFrame(frame)`, `onLost()`, and `onEnd(end, reason)`, after which nothing comes; `end` is "closed",
 * "refused" with the server's reason, "replaced", or "unreachable".
 */
export class Line {
  #handlers;
  #socket = null;
  #failures = 0;
  #closed = false;

  constructor(handlers) {
    this.#handlers = handlers;
    this.#connect();
  }

  send(frame) {
    this.#socket.send(JSON.stringify(frame));
  }

  close() {
    this.#closed = true;
    this.#socket.close(1000);
  }

  #connect() {
    const url = address("/phone/relay").replace(/^http/, "ws");
    // A browser's WebSocket has no headers: the token is one of its protocols.
    const socket = new WebSocket(url, ["switchboard", `switchboard.token.${base64url(connection.token)}`]);
    const began = performance.now();
    let opened = false;
    this.#socket = socket;
    socket.onopen = () => {
      opened = true;
      this.#failures = 0;
      // The handshake takes two round trips or more.
      this.#handlers.onOpen((performance.now() - began) / 2);
    };
    socket.onmessage = ({ data }) => !this.#closed && this.#handlers.onFrame(JSON.parse(data));
    socket.onclose = (event) => this.#onClose(event, opened);
  }

  async #onClose({ code, reason }, opened) {
    if (this.#closed) return;
    if (code in ENDS) return this.#end(ENDS[code], reason);
    if (opened) this.#handlers.onLost();
    else this.#failures++;
    if (this.#failures >= MOST_FAILURES) return this.#end("unreachable");
    await pause(Math.min(FIRST_DELAY * 2 ** this.#failures, LONGEST_DELAY));
    await serverAnswers();
    if (!connection.token) return this.#end("closed");
    if (!this.#closed) this.#connect();
  }

  #end(end, reason) {
    this.#closed = true;
    this.#handlers.onEnd(end, reason);
  }
}

/** Returns when the server answers and accepts the token, or the token is gone. The page shows meanwhile what is wrong. */
async function serverAnswers() {
  while (connection.token) {
    try {
      await get("/v1/models");
      return;
    } catch {
      if (connection.offline) await changed();
      else await pause(LONGEST_DELAY);
    }
  }
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const changed = () =>
  new Promise((resolve) => {
    const stop = onConnection(() => (stop(), resolve()));
  });

const base64url = (text) => btoa(text).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
