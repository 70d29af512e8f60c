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


def validate_pattern(pattern: str, tools: Sequence[str], hand_offs: Collection[str]) -> str:
    """Return the pattern if it can match a tool. Raises ValueError."""
    if pattern.startswith(MCP):
        parts = pattern.split(":", 2)
        if pattern != ALL_MCP and (len(parts) < 3 or not all(parts)):
            raise ValueError(
                "must be mcp:<server>:<tool>, mcp:<server>:* for all tools of a server, or mcp:* for all servers"
            )
        return pattern
    if pattern in hand_offs:
        raise ValueError(f"{pattern} cannot be reviewed: it is a hand-off, which the caller's platform carries out")
    if pattern not in tools:
        known = [each for each in tools if each not in hand_offs]
        hint = did_you_mean(pattern, known) or f"; the tools are {', '.join(known)}, and mcp:<server>:<tool>"
        raise ValueError(f"unknown tool {pattern!r}{hint}")
    return pattern


def check_servers(patterns: Sequence[str], servers: Collection[str], document: Document) -> Iterator[Problem]:
    """A Problem for each pattern whose server does not exist; a typo would let that server's tools run unreviewed."""
    for index, pattern in enumerate(patterns):
        if not pattern.startswith(MCP) or pattern == ALL_MCP:
            continue
        server = pattern.split(":", 2)[1]
        if not any(fnmatchcase(each, server) for each in servers):
            message = f"unknown MCP server {server!r}{did_you_mean(server, servers)}"
            yield document.problem(("review", index), message)
