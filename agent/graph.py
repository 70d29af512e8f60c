"""The only call of create_react_agent. A graph depends on its tools alone, so each tool set is compiled once."""

from __future__ import annotations

import warnings
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AnyMessage
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph.state import CompiledStateGraph
from langgraph.prebuilt import ToolNode, create_react_agent
from langgraph.runtime import Runtime, get_runtime
from langgraph.warnings import LangGraphDeprecatedSinceV10

from agent.events import TextDelta
from agent.memory.long_term import LongTermMemory
from agent.tools.review import reviewing
from agent.tools.tool_set import ToolSet
from config.errors import StepLimitReached
from router.chat_model import chat_model
from router.routed_turn import RoutedTurn

AgentGraph = CompiledStateGraph[Any, "TurnContext", Any, Any]

Prompt = Callable[[Sequence[AnyMessage]], Awaitable[list[AnyMessage]]]
"""The messages that the model is sent for those of the graph's state: with the system prompt, and trimmed."""


@dataclass(slots=True)
class TurnContext:
    """The graph's run-time context: the model of this turn and how to ask it.

    `params` are OpenAI's sampling parameters. `max_steps` bounds the model calls. `user_id` and `memory` are for the
    tool that remembers. `answered` holds the ids of the reviewed tool calls that this turn answers: they count as
    reviewed even if agent.yaml no longer says so. `steps` counts the model calls so far.
    """

    turn: RoutedTurn
    prompt: Prompt
    tools: ToolSet
    params: Mapping[str, Any] = field(default_factory=dict)
    tool_choice: str | Mapping[str, Any] | None = None
    max_steps: int = 10
    user_id: str | None = None
    memory: LongTermMemory | None = None
    answered: frozenset[str] = frozenset()
    steps: int = field(default=0, init=False)

    def next_params(self) -> Mapping[str, Any]:
        """The parameters of the next model call. Raises StepLimitReached."""
        self.steps += 1
        if self.steps > self.max_steps:  # the last step was told not to call tools, and did
            raise StepLimitReached(f"The agent did not come to an answer within {self.max_steps} steps.")
        if not self.tools.offered:
            return self.params
        choice = self.tool_choice
        if self.steps == self.max_steps:
            choice = "none"  # the last step has to speak
        elif self.steps > 1 and choice != "none":
            choice = None  # a forced call is forced once, or the agent would call it forever
        chosen = {} if choice is None else {"tool_choice": choice}
        return {**self.params, "tools": list(self.tools.offered), **chosen}


def compile_graph(tools: ToolSet, checkpointer: BaseCheckpointSaver[Any] | None = None, **options: Any) -> AgentGraph:
    """Compile the agent for one set of tools (about 6 ms); with a `checkpointer` it runs on stored threads.

    `options` go to create_react_agent: `post_model_hook`, `response_format`, ...
    """
    node = ToolNode(list(tools.tools), handle_tool_errors=True, awrap_tool_call=reviewing(tools.reviewed))
    with warnings.catch_warnings():
        # The project is defined on create_react_agent, which LangGraph 1.0 marks as moved to the langchain package.
        warnings.simplefilter("ignore", LangGraphDeprecatedSinceV10)
        graph = create_react_agent(
            _model,
            node if tools.tools else [],
            prompt=_prompt,  # type: ignore[arg-type]  # a coroutine function is allowed, and not in its type
            context_schema=TurnContext,
            checkpointer=checkpointer,
            **options,
        )
    return cast(AgentGraph, graph)


async def _prompt(state: Any) -> list[AnyMessage]:
    return await get_runtime(TurnContext).context.prompt(state["messages"])


def _model(state: Any, runtime: Runtime[TurnContext]) -> BaseChatModel:
    """The chat model of the next step. Its text leaves through LangGraph's stream, mode "custom"."""
    context, write = runtime.context, runtime.stream_writer
    return chat_model(context.turn, context.next_params(), lambda text: write(TextDelta(text)))
