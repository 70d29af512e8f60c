"""The tools that a turn may call, and the compiled graph that runs them; graphs in use are kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import orjson
from langgraph.checkpoint.base import BaseCheckpointSaver

from agent.graph import AgentGraph, compile_graph
from agent.tools.caller_tools import CallerTool
from agent.tools.choice import chosen_tools
from agent.tools.mcp.host import McpHost
from agent.tools.tool_set import ToolSet, tool_set
from config.profile.agent_file import AgentProfile
from router.sized_cache import SizedCache

COMPILED_TOOL_SETS = 64
"""How many compiled graphs are kept: one for each set of caller tools that is in use."""

COMPILED_TOOL_BYTES = 8 * 1024 * 1024
"""The size of the callers' tools, as JSON, whose graphs are kept. In memory they take about four times as much."""


class CompiledGraphs:
    """The graphs of the agent `profile`, with the tools of `mcp`. `has_memory`: the agent can know users."""

    def __init__(
        self, profile: AgentProfile, mcp: McpHost, checkpointer: BaseCheckpointSaver[Any] | None, *, has_memory: bool
    ) -> None:
        self._profile = profile
        self._mcp = mcp
        self._checkpointer = checkpointer
        self._has_memory = has_memory
        self._kept: SizedCache[object, tuple[ToolSet, AgentGraph]] = SizedCache(COMPILED_TOOL_SETS, COMPILED_TOOL_BYTES)

    def use(self, profile: AgentProfile) -> None:
        """Graphs from now on are those of `profile`."""
        self._profile = profile
        self._kept.clear()

    def for_request(
        self,
        caller_tools: Sequence[CallerTool],
        agent_tools: tuple[str, ...] | None,
        *,
        remembers: bool,
        hand_offs: bool,
    ) -> tuple[ToolSet, AgentGraph]:
        """For a turn whose messages come with the request. `caller_tools` and `agent_tools` are TurnRequest's."""
        key = orjson.dumps([(tool.name, tool.description, tool.parameters, tool.strict) for tool in caller_tools])
        made = partial(self._tools, caller_tools, agent_tools, remembers=remembers, hand_offs=hand_offs)
        return self._compiled((key, agent_tools, remembers, hand_offs), len(key), made, None)

    def for_thread(self, agent_tools: tuple[str, ...] | None = None) -> tuple[ToolSet, AgentGraph]:
        """For a turn whose messages are stored. `agent_tools` are TurnRequest's."""
        made = partial(self._tools, (), agent_tools, remembers=True, can_review=True)
        return self._compiled(("thread", agent_tools), 0, made, self._checkpointer)

    def _tools(
        self,
        caller_tools: Sequence[CallerTool],
        agent_tools: tuple[str, ...] | None,
        *,
        remembers: bool,
        can_review: bool = False,
        hand_offs: bool = True,
    ) -> ToolSet:
        profile, mcp_tools = self._profile, self._mcp.tools()
        if agent_tools is not None:
            profile, mcp_tools = chosen_tools(agent_tools, profile, mcp_tools)
        return tool_set(
            profile,
            caller_tools,
            mcp_tools,
            remembers=remembers and self._has_memory and profile.memory.long_term,
            can_review=can_review,
            hand_offs=hand_offs,
        )

    def _compiled(
        self, key: object, size: int, tools: Callable[[], ToolSet], checkpointer: BaseCheckpointSaver[Any] | None
    ) -> tuple[ToolSet, AgentGraph]:
        key = (key, self._mcp.version)
        known = self._kept.get(key)
        if known is None:
            made = tools()
            known = made, compile_graph(made, checkpointer)
            self._kept.put(key, known, size)
        return known
