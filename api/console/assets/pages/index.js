// The pages, in the order of the navigation. `name` is the first part of the address and the icon.
import { Chat } from "./chat.js";
import { Memory } from "./memory.js";
import { Models } from "./models.js";
import { Operations } from "./operations.js";
import { Personas } from "./personas.js";
import { Sessions } from "./sessions.js";
import { Tasks } from "./tasks.js";

export const pages = [
  { name: "chat", title: "Chat", Page: Chat },
  { name: "sessions", title: "Sessions", Page: Sessions },
  { name: "personas", title: "Personas", Page: Personas },
  { name: "memory", title: "Memory", Page: Memory },
  { name: "tasks", title: "Tasks", Page: Tasks },
  { name: "operations", title: "Operations", Page: Operations },
  { name: "models", title: "Models", Page: Models },
];
