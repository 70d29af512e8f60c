// The user whose data a page shows. The last one is remembered in this tab.
import { html, useEffect, useState } from "../vendor/preact.js";
import { t } from "../words.js";
import { useTabState } from "./hooks.js";

export function UserPicker({ value, onChoose }) {
  const [last, setLast] = useTabState("user", "");
  const [text, setText] = useState(value || last);
  useEffect(() => {
    if (value) {
      setLast(value);
      setText(value);
    } else if (last) onChoose(last);
  }, [value]);
  return html`<form class="user-picker" onSubmit=${(event) => (event.preventDefault(), text.trim() && onChoose(text.trim()))}>
    <label class="inline"><span>${t("User")}</span><input value=${text} maxlength="256" placeholder="ada" onInput=${(event) => setText(event.target.value)} /></label>
    <button>${t("Open")}</button></form>`;
}
