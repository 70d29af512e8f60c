"""The only call of create_react_agent. A graph depends on its tools alone, so each tool set is compiled once."""

from __future__ import annotations

import warnings
from typing import Any, cast

from langchain_core.messages import AnyMessage
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph.state import CompiledStateGraph
from langgraph.prebuilt import ToolNode, create_react_agent
from langgraph.runtime import get_runtime
from langgraph.warnings import LangGraphDeprecatedSinceV10

from agent.chat_model import RoutedChatModel
from agent.tools.filler import filled_calls
from agent.tools.recorded_calls import recorded_calls
from agent.tools.review import review_calls
from agent.tools.tool_errors import tool_error_text
from agent.tools.tool_set import ToolSet
from agent.turn_context import TurnContext

AgentGraph = CompiledStateGraph[Any, TurnContext, Any, Any]


def compile_graph(tools: ToolSet, checkpointer: BaseCheckpointSaver[Any] | None = None, **options: Any) -> AgentGraph:
    """Compile the agent for one set of tools (about 6 ms); with a `checkpointer` it runs on stored threads.

    `options` go to create_react_agent: `post_model_hook`, `response_format`, ...
    """
    wrap_call = recorded_calls(filled_calls(review_calls(tools.reviewed)))
    node = ToolNode(list(tools.tools), handle_tool_errors=tool_error_text, awrap_tool_call=wrap_call)
    with warnings.catch_warnings():
        # The project is defined on create_react_agent, which LangGraph 1.0 marks as moved to the langchain package.
        warnings.simplefilter("ignore", LangGraphDeprecatedSinceV10)
        graph = create_react_agent(
            RoutedChatModel(tools.offered),
            node if tools.tools else [],
            prompt=_prompt,  # type: ignore[arg-type]  # a coroutine function is allowed, but missing in the type
            context_schema=TurnContext,
            checkpointer=checkpointer,
            **options,
        )
    return cast(AgentGraph, graph)


async def _prompt(state: Any) -> list[AnyMessage]:
    context = get_runtime(TurnContext).context
    context.leave_start_gate()  # the graph is set up; what follows waits for memories and for the provider
    return await context.prompt(state["messages"])
