"""The only call of create_react_agent. The graph depends on the tools alone, so it is compiled once for each set of
them.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from langchain_core.language_models import BaseChatModel
from langgraph.graph.state import CompiledStateGraph
from langgraph.prebuilt import ToolNode, create_react_agent
from langgraph.runtime import Runtime
from langgraph.warnings import LangGraphDeprecatedSinceV10

from agent.tools.tool_set import ToolSet
from config.errors import StepLimitReached
from router.chat_model import chat_model
from router.failover import RoutedTurn

AgentGraph = CompiledStateGraph[Any, "TurnContext", Any, Any]


@dataclass(slots=True)
class TurnContext:
    """What the graph learns at run time: which model this turn runs on, and how it is to be asked.

    `params` are OpenAI's sampling parameters, `tool_choice` the caller's wish. `max_steps` bounds the model calls.
    """

    turn: RoutedTurn
    params: Mapping[str, Any]
    tools: ToolSet
    tool_choice: str | Mapping[str, Any] | None = None
    max_steps: int = 10
    steps: int = field(default=0, init=False)

    def next_model(self) -> BaseChatModel:
        """The chat model for the next step.

        Raises:
            StepLimitReached: the last step was asked to do without tools, and called one all the same.
        """
        self.steps += 1
        if self.steps > self.max_steps:
            raise StepLimitReached(f"The agent did not come to an answer within {self.max_steps} steps.")
        model: BaseChatModel = chat_model(self.turn, {**self.params, **self._tool_params()})
        return model

    def _tool_params(self) -> Mapping[str, Any]:
        if not self.tools.offered:
            return {}
        choice = self.tool_choice
        if self.steps == self.max_steps:
            choice = "none"  # the last step has to speak
        elif self.steps > 1 and choice != "none":
            choice = None  # a forced call is forced once: else the agent would call it for ever
        offered = {"tools": list(self.tools.offered)}
        return offered if choice is None else {**offered, "tool_choice": choice}


def compile_graph(tools: ToolSet) -> AgentGraph:
    """Compile the agent for one set of tools (about 6 ms)."""
    with warnings.catch_warnings():
        # The project is defined on create_react_agent, which LangGraph 1.0 marks as moved to the langchain package.
        warnings.simplefilter("ignore", LangGraphDeprecatedSinceV10)
        graph: Any = create_react_agent(
            _model_of_turn,
            ToolNode(list(tools.tools), handle_tool_errors=True) if tools.tools else [],
            context_schema=TurnContext,
        )
        return cast(AgentGraph, graph)


def _model_of_turn(state: Any, runtime: Runtime[TurnContext]) -> BaseChatModel:
    return runtime.context.next_model()
