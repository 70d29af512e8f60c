// Uses the server through the AI SDK with its default OpenAI provider, which speaks the Responses API, and prints the
// results as one JSON object. Reads SWITCHBOARD_URL and SWITCHBOARD_TOKEN from the environment.
import { createOpenAI } from "@ai-sdk/openai";
import { generateText, Output, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";

const sent = [];
const openai = createOpenAI({
  baseURL: `${process.env.SWITCHBOARD_URL}/v1`,
  apiKey: process.env.SWITCHBOARD_TOKEN,
  fetch: (url, options) => {
    sent.push({ path: new URL(url).pathname, body: JSON.parse(options.body) });
    return fetch(url, options);
  },
});
const model = openai("fake");
const common = { model, maxRetries: 0 };

const TWO_STEPS = '/say One moment.\n/call lookup {"name": "Ada"}\n/then\n/say Found her.';

function tools(asked) {
  return {
    lookup: tool({
      description: "Look up a customer.",
      inputSchema: z.object({ name: z.string() }),
      execute: async ({ name }) => {
        asked.push(name);
        return `${name} Lovelace`;
      },
    }),
  };
}

const steps = (all) =>
  all.map(({ text, finishReason, toolCalls }) => ({ text, finishReason, calls: toolCalls.length }));

const cases = {
  async text() {
    const errors = [];
    const onError = ({ error }) => errors.push(String(error));
    const result = streamText({ ...common, prompt: "Tell me something.", onError });
    const pieces = [];
    for await (const piece of result.textStream) pieces.push(piece);
    const { id, modelId } = await result.response;
    return { pieces, errors, reason: await result.finishReason, usage: await result.usage, id, modelId };
  },

  // The SDK runs the tool, and sends its result back until the model answers with text.
  async steps(rest = {}) {
    const asked = [];
    sent.length = 0;
    const result = await generateText({
      ...common, prompt: TWO_STEPS, tools: tools(asked), stopWhen: stepCountIs(3), ...rest,
    });
    const items = sent.map(({ body }) => body.input.map((item) => item.type ?? item.role));
    const read = result.steps.map(({ usage }) => usage.inputTokens);
    return { text: result.text, steps: steps(result.steps), asked, items, read, paths: sent.map(({ path }) => path) };
  },

  // Without stored responses, the SDK sends all items again.
  unstored: () => cases.steps({ providerOptions: { openai: { store: false } } }),

  async streamedSteps() {
    const asked = [];
    const result = streamText({ ...common, prompt: TWO_STEPS, tools: tools(asked), stopWhen: stepCountIs(3) });
    const kinds = [];
    for await (const part of result.fullStream) kinds.push(part.type);
    return { text: await result.text, steps: steps(await result.steps), asked, kinds };
  },

  async object() {
    const schema = z.object({ name: z.string(), people: z.number().int() });
    const { output } = await generateText({ ...common, prompt: "A city.", output: Output.object({ schema }) });
    const streamed = streamText({ ...common, prompt: "A city.", output: Output.object({ schema }) });
    const partial = [];
    for await (const each of streamed.partialOutputStream) partial.push(each);
    const { type } = sent.at(-1).body.text.format;
    return { output, streamed: await streamed.output, partial: partial.length, format: type };
  },

  async conversation() {
    const first = await generateText({ ...common, prompt: "My name is Ada." });
    const previousResponseId = first.providerMetadata.openai.responseId;
    sent.length = 0;
    const providerOptions = { openai: { previousResponseId } };
    const second = await generateText({ ...common, prompt: "Again.", providerOptions });
    const messages = [
      { role: "user", content: "My name is Ada." },
      ...first.response.messages,
      { role: "user", content: "Again." },
    ];
    const third = await generateText({ ...common, messages });
    return {
      texts: [second.text, third.text],
      read: [second.usage.inputTokens, third.usage.inputTokens],
      previous: sent[0].body.previous_response_id === previousResponseId,
      items: sent[1].body.input.map((item) => item.type ?? item.role),
    };
  },

  async unknownModel() {
    return failure(generateText({ ...common, model: openai("gpt-9"), prompt: "Hi" }));
  },

  async cut() {
    const errors = [];
    const onError = ({ error }) => errors.push(error);
    const result = streamText({ ...common, prompt: "/say Half a\n/fail cut", onError });
    const text = [];
    for await (const part of result.fullStream) if (part.type === "text-delta") text.push(part.text);
    return { text: text.join(""), errors: errors.length };
  },
};

async function failure(promise) {
  try {
    await promise;
  } catch (error) {
    return { kind: error.name, status: error.statusCode ?? null, code: error.data?.error?.code ?? null };
  }
  return null;
}

const results = {};
for (const [name, run] of Object.entries(cases)) {
  try {
    results[name] = await run();
  } catch (error) {
    results[name] = { crashed: String(error.stack ?? error) };
  }
}
console.log(JSON.stringify(results));
