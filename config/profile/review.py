"""`review` of agent.yaml: patterns for tools that a person must approve before they run."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from fnmatch import fnmatchcase

from config.errors import Problem
from config.parsing.validation import did_you_mean
from config.parsing.yaml_document import Document

MCP = "mcp:"
ALL_MCP = "mcp:*"


def is_reviewed(patterns: Sequence[str], tool_name: str, mcp_server: str | None) -> bool:
    """Whether one of the patterns matches the tool. `mcp_server` is None for the agent's own tools."""
    if mcp_server is None:
        return tool_name in patterns
    return any(each.startswith(MCP) and fnmatchcase(f"{MCP}{mcp_server}:{tool_name}", each) for each in patterns)


def check_patterns(
    patterns: Sequence[str], tools: Collection[str], hand_offs: Collection[str], document: Document
) -> Iterator[Problem]:
    """A Problem for each pattern that can match no tool. `tools` are the names of the agent's own tools."""
    for index, pattern in enumerate(patterns):
        if problem := _pattern_problem(pattern, tools, hand_offs):
            yield document.problem(("review", index), problem)


def _pattern_problem(pattern: str, tools: Collection[str], hand_offs: Collection[str]) -> str | None:
    if pattern.startswith(MCP):
        parts = pattern.split(":", 2)
        if pattern != ALL_MCP and (len(parts) < 3 or not all(parts)):
            return "must be mcp:<server>:<tool>, mcp:<server>:* for all tools of a server, or mcp:* for all servers"
    elif pattern in hand_offs:
        return f"{pattern} cannot be reviewed: it is a hand-off, which the caller's platform carries out"
    elif pattern not in tools:
        known = [each for each in tools if each not in hand_offs]
        hint = did_you_mean(pattern, known) or f"; the tools are {', '.join(known)}, and mcp:<server>:<tool>"
        return f"unknown tool {pattern!r}{hint}"
    return None


def check_servers(patterns: Sequence[str], servers: Collection[str], document: Document) -> Iterator[Problem]:
    """A Problem for each pattern whose server does not exist; a typo would let that server's tools run unreviewed."""
    for index, pattern in enumerate(patterns):
        parts = pattern.split(":", 2)
        if not pattern.startswith(MCP) or len(parts) < 3 or not all(parts):
            continue
        server = parts[1]
        if not any(fnmatchcase(each, server) for each in servers):
            message = f"unknown MCP server {server!r}{did_you_mean(server, servers)}"
            yield document.problem(("review", index), message)
