// A dialog over the page: the browser's own, which keeps the focus inside and closes with Escape.
import { html, useEffect, useRef } from "../vendor/preact.js";
import { t } from "../words.js";
import { Icon } from "./icons.js";

export function Dialog({ title, onClose, children }) {
  const element = useRef(null);
  useEffect(() => {
    const dialog = element.current;
    dialog.showModal();
    return () => dialog.close();
  }, []);
  const cancel = (event) => {
    event.preventDefault(); // the page closes it
    onClose();
  };
  return html`<dialog ref=${element} aria-label=${title} onCancel=${cancel} onClick=${(event) => event.target === element.current && onClose()}>
    <div class="dialog-body">
      <header><h2>${title}</h2><button type="button" class="quiet icon-only" aria-label=${t("Close")} onClick=${onClose}><${Icon} name="close" /></button></header>
      ${children}
    </div>
  </dialog>`;
}

/** A question before something is lost. */
export function Confirm({ title, text, action, onConfirm, onClose }) {
  return html`<${Dialog} title=${title} onClose=${onClose}>
    <p>${text}</p>
    <div class="buttons"><button type="button" class="quiet" onClick=${onClose}>${t("Cancel")}</button>
      <button type="button" class="danger" onClick=${() => (onConfirm(), onClose())}>${action}</button></div>
  </${Dialog}>`;
}
