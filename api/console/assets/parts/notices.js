// Short messages at the lower edge: what was done, or what went wrong.
import { html, useEffect, useState } from "../vendor/preact.js";
import { Icon } from "./icons.js";
import { t } from "../words.js";

let show = () => {};
let last = 0;

/** Shows `text` for some seconds; `kind` is "info" or "problem". */
export const notify = (text, kind = "info") => show({ id: ++last, text, kind });

/** Runs `action` and shows its error, if there is one. */
export async function attempt(action, done) {
  try {
    const result = await action();
    if (done) notify(done);
    return result;
  } catch (error) {
    notify(error.message, "problem");
    return undefined;
  }
}

export function Notices() {
  const [notices, setNotices] = useState([]);
  const close = (id) => setNotices((all) => all.filter((each) => each.id !== id));
  useEffect(() => {
    show = (notice) => {
      setNotices((all) => [...all.slice(-3), notice]);
      setTimeout(close, notice.kind === "problem" ? 10_000 : 4_000, notice.id);
    };
  }, []);
  return html`<div class="notices" role="status" aria-live="polite">
    ${notices.map(
      (each) => html`<div key=${each.id} class=${`notice ${each.kind}`}><span>${each.text}</span>
        <button class="quiet" onClick=${() => close(each.id)}><${Icon} name="close" size=${14} /><span class="sr">${t("Close")}</span></button></div>`,
    )}
  </div>`;
}
