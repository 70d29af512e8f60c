// Uses the server through OpenAI's Node client, and prints the results as one JSON object.
// Reads SWITCHBOARD_URL and SWITCHBOARD_TOKEN from the environment.
import OpenAI from "openai";

const client = new OpenAI({
  baseURL: `${process.env.SWITCHBOARD_URL}/v1`,
  apiKey: process.env.SWITCHBOARD_TOKEN,
  maxRetries: 0,
});

const lookup = {
  type: "function",
  function: {
    name: "lookup",
    description: "Look up a customer.",
    parameters: {
      type: "object",
      properties: { name: { type: "string" } },
      required: ["name"],
      additionalProperties: false,
    },
  },
};

const ask = (content, rest = {}) => ({ model: "fake", messages: [{ role: "user", content }], ...rest });

// The stream() helper validates every chunk, and throws on an incomplete answer.
async function streamHelper(body) {
  const seen = { content: [], argumentsDone: [], errors: [] };
  const stream = client.chat.completions
    .stream(body)
    .on("content", (delta) => seen.content.push(delta))
    .on("tool_calls.function.arguments.done", ({ index, name, arguments: text }) =>
      seen.argumentsDone.push({ index, name, arguments: text }))
    .on("error", (error) => seen.errors.push(String(error)));
  const whole = await stream.finalChatCompletion();
  return { ...seen, choice: whole.choices[0], model: whole.model };
}

const cases = {
  text: () => streamHelper(ask("Tell me something.")),
  tool: () => streamHelper(ask('/say One moment.\n/call lookup {"name": "Ada"}', { tools: [lookup] })),
  transfer: () => streamHelper(ask("I want to talk to a human.")),
  several: () => streamHelper(ask('/call lookup {"name": "Ada"}\n/call lookup {"name": "Alan"}', { tools: [lookup] })),

  // Runs the tool and sends its result back until the model answers with text.
  async roundTrip() {
    const asked = [];
    const customers = async ({ name }) => {
      asked.push(name);
      return `${name} Lovelace`;
    };
    const run = client.chat.completions.runTools({
      ...ask('/call lookup {"name": "Ada"}\n/then\n/say Found her.'),
      stream: true,
      tools: [{ ...lookup, function: { ...lookup.function, function: customers, parse: JSON.parse } }],
    });
    return { answer: await run.finalContent(), asked };
  },

  async plain() {
    const stream = await client.chat.completions.create({
      ...ask("/wait 200ms\n/tokens 12"),
      stream: true,
      stream_options: { include_usage: true },
    });
    const chunks = [];
    for await (const chunk of stream) chunks.push(chunk);
    return {
      roles: chunks.flatMap((chunk) => chunk.choices.map((choice) => choice.delta.role ?? null)),
      text: chunks.flatMap((chunk) => chunk.choices.map((choice) => choice.delta.content ?? "")).join(""),
      reasons: chunks.flatMap((chunk) => chunk.choices.map((choice) => choice.finish_reason)),
      usage: chunks.at(-1).usage,
    };
  },

  async unknownModel() {
    return failure(client.chat.completions.create(ask("Hi", { model: "gpt-9", stream: true })));
  },

  async cut() {
    const stream = await client.chat.completions.create(ask("/say Half a\n/fail cut", { stream: true }));
    return failure((async () => {
      for await (const chunk of stream) void chunk;
    })());
  },

  // The stream() helper of responses puts the response together from its events.
  async response() {
    const tool = { type: "function", strict: false, ...lookup.function };
    const asked = { model: "fake", input: '/say One moment.\n/call lookup {"name": "Ada"}', tools: [tool] };
    const stream = client.responses.stream(asked);
    const kinds = [];
    for await (const event of stream) kinds.push(event.type);
    const whole = await stream.finalResponse();
    const call = whole.output.find((item) => item.type === "function_call");
    const output = { type: "function_call_output", call_id: call.call_id, output: "Ada Lovelace" };
    const next = await client.responses.create({ model: "fake", input: [output], previous_response_id: whole.id });
    const items = [];
    for await (const item of client.responses.inputItems.list(next.id, { order: "asc", limit: 1 })) items.push(item.type);
    return { kinds, text: whole.output_text, arguments: call.arguments, answer: next.output_text, items };
  },

  // Follows a response in the background, loses the connection, goes on where it was, and cancels another one.
  async background() {
    const asked = { model: "fake", input: '/say One moment.\n/call lookup {"name": "Ada"}', background: true };
    const tools = [{ type: "function", strict: false, ...lookup.function }];
    const numbers = [];
    let id;
    for await (const event of await client.responses.create({ ...asked, tools, stream: true })) {
      numbers.push(event.sequence_number);
      id ??= event.response.id;
      if (event.type === "response.output_text.delta") break;
    }
    const rest = client.responses.stream({ response_id: id, starting_after: numbers.at(-1) });
    for await (const event of rest) numbers.push(event.sequence_number);
    const whole = await rest.finalResponse();
    const slow = await client.responses.create({ model: "fake", input: "/say Hm.\n/wait 60s", background: true });
    const cancelled = await client.responses.cancel(slow.id);
    const kept = await client.responses.retrieve(slow.id);
    const statuses = [slow.status, cancelled.status, kept.status];
    return { numbers, text: whole.output_text, kinds: whole.output.map((item) => item.type), statuses };
  },

  async unknownResponse() {
    return failure(client.responses.create({ model: "fake", input: "Hi", previous_response_id: "resp_unknown" }));
  },

  async models() {
    const names = [];
    for await (const model of client.models.list()) names.push(model.id);
    return names;
  },
};

async function failure(promise) {
  try {
    await promise;
  } catch (error) {
    return { kind: error.constructor.name, status: error.status ?? null, code: error.code ?? null };
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
