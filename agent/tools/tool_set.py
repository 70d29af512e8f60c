"""The tools of one turn: the agent's and the caller's, with the definitions that the model sees."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool

from agent.tools.book_hotel import book_hotel
from agent.tools.caller_tools import CallerTool, hand_off_tool
from agent.tools.hand_off import HandOffTool
from agent.tools.line_tools import LINE_TOOLS, line_tool
from agent.tools.mcp.tool import McpTool
from agent.tools.multiply import multiply
from agent.tools.remember import remember
from agent.tools.transfer_call import call_control, end_tool, transfer_tool
from config.profile.agent_file import AgentProfile

SERVER_TOOLS: dict[str, BaseTool] = {each.name: each for each in (multiply, book_hotel)}
"""The tools that ship and run in this server, by their name in agent.yaml."""


@dataclass(frozen=True)
class ToolSet:
    """`offered` are the OpenAI definitions of `tools`. `reviewed` are the names of those that need a review."""

    tools: tuple[BaseTool, ...]
    offered: tuple[dict[str, Any], ...]
    reviewed: frozenset[str] = frozenset()

    @cached_property
    def hand_offs(self) -> frozenset[str]:
        """The names of the tools that end the turn."""
        return frozenset(each.name for each in self.tools if isinstance(each, HandOffTool))

    @cached_property
    def by_name(self) -> Mapping[str, BaseTool]:
        return {each.name: each for each in self.tools}


def tool_set(
    profile: AgentProfile,
    caller_tools: Sequence[CallerTool] = (),
    mcp_tools: Sequence[McpTool] = (),
    *,
    remembers: bool = False,
    can_review: bool = False,
    hand_offs: bool = True,
) -> ToolSet:
    """Combine the agent's tools with the caller's.

    A tool of the caller replaces the agent's tool with the same name or of the same kind (transfer, end). With
    `remembers` the agent may store facts about the user. Without `can_review`, tools that need a review are left out.
    Without `hand_offs`, so are the agent's own hand-offs, which not every caller understands.
    """
    advertised = {each.name for each in caller_tools}
    named = [_agent_tool(name, profile) for name in profile.tools]
    own = [each for each in (*named, *mcp_tools, *[remember] * remembers) if not _is_replaced(each, advertised)]
    if not hand_offs:
        own = [each for each in own if not isinstance(each, HandOffTool)]
    reviewed = frozenset(each.name for each in own if _is_reviewed(each, profile))
    if not can_review:
        own = [each for each in own if each.name not in reviewed]
    callers = [hand_off_tool(each, profile.transfer_destinations) for each in caller_tools]
    strict = {each.name: each.strict for each in caller_tools}
    tools = (*own, *callers)
    offered = tuple(_definition(each, strict.get(each.name)) for each in tools)
    return ToolSet(tools, offered, reviewed if can_review else frozenset())


def own_tool_names(profile: AgentProfile) -> frozenset[str]:
    """The names of the operator's own tools, as the model sees them."""
    return frozenset(each.name for each in profile.loaded_tools.values())


def _is_reviewed(tool: BaseTool, profile: AgentProfile) -> bool:
    if isinstance(tool, McpTool):
        return profile.reviewed(tool.mcp_name, tool.server)
    # A LangChain tool has a name of its own, beside the one that agent.yaml calls it by.
    names = (tool.name, *(name for name, each in profile.loaded_tools.items() if each is tool))
    return any(profile.reviewed(name, None) for name in names)


def _is_replaced(tool: BaseTool, advertised: Iterable[str]) -> bool:
    kind = call_control(tool.name) if isinstance(tool, HandOffTool) else None
    return any(each == tool.name or (kind is not None and call_control(each) == kind) for each in advertised)


def _agent_tool(name: str, profile: AgentProfile) -> BaseTool:
    if (own := profile.loaded_tools.get(name)) is not None:
        return cast(BaseTool, own)
    match call_control(name):
        case "transfer":
            return transfer_tool(name, profile.transfer_destinations)
        case "end":
            return end_tool(name, profile.transfer_destinations)
    if name in LINE_TOOLS:
        return line_tool(name, profile.phone)
    return SERVER_TOOLS[name]


def _definition(tool: BaseTool, strict: bool | None) -> dict[str, Any]:
    if isinstance(tool.args_schema, dict):
        # Unchanged: convert_to_openai_tool would rewrite the schema of a caller, an MCP server or an operator.
        function = {"name": tool.name, "description": tool.description, "parameters": tool.args_schema}
        return {"type": "function", "function": function if strict is None else {**function, "strict": strict}}
    return convert_to_openai_tool(tool)
