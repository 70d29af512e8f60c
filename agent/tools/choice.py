"""The tools that a persona may choose from those of agent.yaml and of its MCP servers, by name or pattern.

Only names are chosen: a caller can neither import code nor reach an address that the operator did not write down.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from agent.tools.mcp.tool import McpTool
from config.parsing.validation import did_you_mean
from config.profile.agent_file import AgentProfile
from config.profile.own_tools import KNOWN_TOOLS
from config.profile.review import ALL_MCP, MCP, is_reviewed


def choosable_tools(profile: AgentProfile) -> tuple[str, ...]:
    """The names of the tools that this server has, besides those of MCP servers."""
    names = dict.fromkeys((*KNOWN_TOOLS, *profile.tools))
    return tuple(each for each in names if each != "transferCall" or profile.transfer_destinations)


def chosen_tools(
    names: Sequence[str], profile: AgentProfile, mcp_tools: Sequence[McpTool]
) -> tuple[AgentProfile, tuple[McpTool, ...]]:
    """The profile with the chosen tools, and the chosen tools of MCP servers. What does not exist is left out."""
    known = choosable_tools(profile)
    chosen = tuple(each for each in names if each in known)
    of_servers = tuple(each for each in mcp_tools if is_reviewed(names, each.mcp_name, each.server))
    return replace(profile, tools=chosen), of_servers


def choice_problem(names: Sequence[str], profile: AgentProfile) -> str | None:
    """What is wrong with the choice, in words; None if every name can match a tool."""
    known = choosable_tools(profile)
    for name in names:
        if names.count(name) > 1:
            return f"{name!r} is listed twice"
        if name.startswith(MCP):
            servers = [each.name for each in profile.mcp_servers]
            parts = name.split(":", 2)
            if name != ALL_MCP and (len(parts) < 3 or not any(fnmatchcase(each, parts[1]) for each in servers)):
                return f"unknown MCP tools {name!r}; the form is mcp:<server>:<tool> or {ALL_MCP}, {_servers(servers)}"
        elif name not in known:
            hint = did_you_mean(name, known)
            return f"unknown tool {name!r}{hint}; the tools are {', '.join(known)}, and mcp:<server>:<tool>"
    return None


def _servers(names: Sequence[str]) -> str:
    return f"and the servers are {', '.join(names)}" if names else "and agent.yaml has no MCP servers"
