// An editor for models.yaml: marks the server's problems, and completes keys from the JSON schema.
import {
  autocompletion, completionKeymap, defaultKeymap, EditorState, EditorView, HighlightStyle, history, historyKeymap,
  indentUnit, keymap, lineNumbers, lintGutter, setDiagnostics, syntaxHighlighting, tags, yaml,
} from "../vendor/editor.js";
import { html, useEffect, useRef } from "../vendor/preact.js";
import { keysAt } from "./schema_keys.js";

const colours = HighlightStyle.define([
  { tag: [tags.propertyName, tags.definition(tags.propertyName)], color: "var(--link)" },
  { tag: tags.comment, color: "var(--muted)" },
  { tag: [tags.number, tags.bool, tags.null], color: "var(--warn)" },
]);

const theme = EditorView.theme({
  "&": { backgroundColor: "var(--surface)", color: "var(--text)", height: "100%", fontSize: "13.5px" },
  ".cm-scroller": { fontFamily: "var(--mono)" },
  ".cm-content": { caretColor: "var(--text)" },
  ".cm-gutters": { backgroundColor: "var(--raised)", color: "var(--muted)", borderRight: "1px solid var(--line)" },
  ".cm-cursor": { borderLeftColor: "var(--text)" },
  "&.cm-focused .cm-selectionBackground, .cm-selectionBackground": { backgroundColor: "var(--accent-soft) !important" },
  // CodeMirror's own marks are images in data URLs, which the page's policy forbids.
  ".cm-lintRange": { backgroundImage: "none", textDecoration: "underline wavy var(--bad)" },
  ".cm-lintRange-warning": { textDecorationColor: "var(--warn)" },
  ".cm-lint-marker": { content: "normal", width: "10px", height: "10px", marginTop: "5px", borderRadius: "50%", backgroundColor: "var(--bad)" },
  ".cm-lint-marker-warning": { content: "normal", backgroundColor: "var(--warn)" },
  ".cm-lint-marker-error": { content: "normal" },
  ".cm-diagnostic-error": { borderLeftColor: "var(--bad)" },
  ".cm-tooltip": { backgroundColor: "var(--surface)", color: "var(--text)", border: "1px solid var(--line)" },
  ".cm-tooltip-autocomplete ul li[aria-selected]": { backgroundColor: "var(--accent)", color: "var(--on-accent)" },
});

/** Begins with `text`; for another one, give it another key. `problems` are `{ line, message, severity }`; `onChange` gets the whole text. */
export function YamlEditor({ text, problems, schema, label, onChange }) {
  const element = useRef(null);
  const view = useRef(null);
  const latest = useRef({});
  latest.current = { schema, onChange };
  useEffect(() => {
    // In a shadow root, the editor needs no <style> element, which the page's policy forbids.
    const root = element.current.shadowRoot ?? element.current.attachShadow({ mode: "open" });
    view.current = new EditorView({
      parent: root,
      root,
      state: EditorState.create({
        doc: text,
        extensions: [
          lineNumbers(), lintGutter(), history(), yaml(), indentUnit.of("  "), theme, syntaxHighlighting(colours),
          EditorView.contentAttributes.of({ "aria-label": label, tabindex: "0" }),
          EditorView.lineWrapping,
          autocompletion({ override: [(context) => complete(context, latest.current.schema)] }),
          keymap.of([...completionKeymap, ...defaultKeymap, ...historyKeymap]),
          EditorView.updateListener.of((update) => update.docChanged && latest.current.onChange(update.state.doc.toString())),
        ],
      }),
    });
    return () => view.current.destroy();
  }, []);
  useEffect(() => {
    const { doc } = view.current.state;
    const marks = problems.map(({ line, message, severity }) => {
      const { from, to } = doc.line(Math.min(Math.max(line ?? 1, 1), doc.lines));
      return { from, to, message, severity };
    });
    view.current.dispatch(setDiagnostics(view.current.state, marks));
  }, [problems]);
  return html`<div class="editor" ref=${element}></div>`;
}

function complete(context, schema) {
  const line = context.state.doc.lineAt(context.pos);
  const typed = line.text.slice(0, context.pos - line.from).match(/^[\s-]*([\w$]*)$/);
  if (!schema || !typed || (!typed[1] && !context.explicit)) return null;
  const lines = context.state.doc.toString().slice(0, line.from).split("\n").slice(0, -1);
  const options = keysAt(schema, lines, typed[0].length - typed[1].length).map(({ name, description }) => ({
    label: name, type: "property", info: description, apply: `${name}: `,
  }));
  return { from: context.pos - typed[1].length, options };
}
