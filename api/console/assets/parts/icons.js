// Icons as paths of a 24-unit grid, drawn with the text's colour.
import { html } from "../vendor/preact.js";

const paths = {
  chat: "M4 5h16v11H9l-5 4z",
  sessions: "M4 6h16M4 12h16M4 18h10",
  personas: "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM4.5 20a7.5 7.5 0 0 1 15 0",
  memory: "M6 4h12v16l-6-4-6 4z",
  tasks: "M4 6l2 2 3-4M4 13l2 2 3-4M4 20l2 2 3-4M13 6h7M13 13h7M13 20h7",
  operations: "M3 12h4l3-7 4 14 3-7h4",
  models: "M4 7l8-4 8 4-8 4zM4 12l8 4 8-4M4 17l8 4 8-4",
  send: "M4 12l16-8-6 16-3-6z",
  stop: "M7 7h10v10H7z",
  copy: "M9 9h11v11H9zM5 15H4V4h11v1",
  edit: "M4 20l1-4L16 5l3 3L8 19z",
  again: "M5 12a7 7 0 1 1 2 5M5 12V7M5 12h5",
  plus: "M12 5v14M5 12h14",
  trash: "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13",
  close: "M6 6l12 12M18 6L6 18",
  menu: "M4 7h16M4 12h16M4 17h16",
  code: "M9 7l-5 5 5 5M15 7l5 5-5 5",
  settings: "M4 7h9M17 7h3M4 17h3M11 17h9M15 5v4M9 15v4",
  phone: "M6 3h4l2 5-3 2a12 12 0 0 0 5 5l2-3 5 2v4a2 2 0 0 1-2 2A17 17 0 0 1 4 5a2 2 0 0 1 2-2z",
  keypad: "M6 6h.01M12 6h.01M18 6h.01M6 12h.01M12 12h.01M18 12h.01M6 18h.01M12 18h.01M18 18h.01",
  tool: "M14 6a4 4 0 0 1 5 5l-9 9-5-5 9-9z",
  out: "M14 4h6v16h-6M4 12h11M11 8l4 4-4 4",
  split: "M4 12h6l4-6h6M10 12l4 6h6",
  clock: "M12 20a8 8 0 1 0 0-16 8 8 0 0 0 0 16zM12 8v4l3 2",
};

/** A decorative icon; the control that contains it has the words. */
export const Icon = ({ name, size = 18 }) => html`<svg
  class="icon" width=${size} height=${size} viewBox="0 0 24 24" aria-hidden="true" focusable="false"
  ><path d=${paths[name]} /></svg>`;
