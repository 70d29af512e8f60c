// A turn as a program would ask for it.
import { html, useState } from "../vendor/preact.js";
import { address } from "../api.js";
import { t } from "../words.js";
import { Dialog } from "./dialog.js";
import { Icon } from "./icons.js";
import { Choice } from "./layout.js";
import { copy } from "./messages.js";

/** `body` is that of /v1/chat/completions. */
export function ShownRequest({ body, onClose }) {
  const [kind, setKind] = useState("curl");
  const text = examples[kind](body);
  return html`<${Dialog} title=${t("Show the request")} onClose=${onClose}>
    <p class="muted">${t("The same turn from a program. Put your token where it says TOKEN.")}</p>
    <${Choice} label=${t("Language")} choices=${Object.keys(examples).map((each) => [each, each])} value=${kind} onChoose=${setKind} />
    <pre class="code" tabindex="0">${text}</pre>
    <button class="primary" onClick=${() => copy(text)}><${Icon} name="copy" />${t("Copy")}</button>
  </${Dialog}>`;
}

const examples = {
  curl: (body) => `curl -N ${address("/v1/chat/completions")} \\
  -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json" \\
  -d '${JSON.stringify(body, null, 2).replaceAll("'", String.raw`'\''`)}'`,
  Python: (body) => `from openai import OpenAI

client = OpenAI(base_url="${address("/v1")}", api_key="TOKEN")
stream = client.chat.completions.create(
${Object.entries(body).map(([name, value]) => `    ${name}=${python(value)},`).join("\n")}
)
for chunk in stream:
    print(chunk.choices[0].delta.content or "", end="", flush=True)`,
  JavaScript: (body) => `import OpenAI from "openai";

const client = new OpenAI({ baseURL: "${address("/v1")}", apiKey: "TOKEN" });
const stream = await client.chat.completions.create(${JSON.stringify(body, null, 2)});
for await (const chunk of stream) process.stdout.write(chunk.choices[0].delta.content ?? "");`,
};

const python = (value) => (value === true ? "True" : JSON.stringify(value, null, 4).replaceAll("\n", "\n    "));
