// Markdown of a model as safe HTML: no scripts, no styles, nothing that loads from anywhere.
import { DOMPurify, Marked } from "../vendor/markdown.js";
import { html, useMemo } from "../vendor/preact.js";

// HTML is shown as the text that it is, and an image as its words: the sanitizer below has little left to do.
const marked = new Marked({
  gfm: true,
  breaks: true,
  renderer: {
    html: ({ text }) => (/^<br *\/?>$/i.test(text.trim()) ? "<br>" : escaped(text)),
    image: ({ text }) => escaped(text),
  },
});

const escaped = (text) => text.replace(/[&<>"']/g, (each) => `&#${each.charCodeAt(0)};`);

const ALLOWED = {
  ALLOWED_TAGS: [
    "a", "b", "blockquote", "br", "code", "del", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "i", "li", "ol",
    "p", "pre", "strong", "sub", "sup", "table", "tbody", "td", "th", "thead", "tr", "ul",
  ],
  ALLOWED_ATTR: ["href", "title", "start", "align"],
  ALLOWED_URI_REGEXP: /^(?:https?|mailto|tel):/i,
};

DOMPurify.addHook("afterSanitizeAttributes", (node) => {
  if (node.tagName !== "A") return;
  node.setAttribute("rel", "noopener noreferrer nofollow");
  node.setAttribute("target", "_blank");
});

/** Longer texts are shown as they are, since parsing them would stall the page. */
const LONGEST = 200_000;

/** A model's text, rendered block by block: while it streams, only the last block changes. */
export function Markdown({ text, live = false }) {
  const blocks = useMemo(() => (text.length > LONGEST ? null : marked.lexer(text)), [text]);
  if (!blocks) return html`<div class="plain" dir="auto">${text}</div>`;
  return html`<div class=${live ? "markdown streaming" : "markdown"} dir="auto">${blocks.map(
    (block, index) => block.type !== "space" && html`<${Block} key=${index} block=${block} />`,
  )}</div>`;
}

function Block({ block }) {
  const safe = useMemo(() => DOMPurify.sanitize(marked.parser([block]), ALLOWED), [block.raw]);
  return html`<div class="block" dangerouslySetInnerHTML=${{ __html: safe }} />`;
}
