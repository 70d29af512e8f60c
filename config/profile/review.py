"""`review` of agent.yaml: patterns for the tools that a person has to approve before they run."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from fnmatch import fnmatchcase

from config.errors import Problem
from config.reading.sections import nearest
from config.reading.yaml_lines import Document

MCP = "mcp:"
ALL_MCP = "mcp:*"


def is_reviewed(patterns: Sequence[str], tool_name: str, mcp_server: str | None) -> bool:
    """Whether one of the patterns names the tool; `mcp_server` is None for the agent's own tools."""
    if mcp_server is None:
        return tool_name in patterns
    return any(each.startswith(MCP) and fnmatchcase(f"{MCP}{mcp_server}:{tool_name}", each) for each in patterns)


def review_pattern(pattern: str, tools: Sequence[str], hand_offs: Collection[str]) -> str:
    """The pattern, if it can name a tool. Raises ValueError."""
    if pattern.startswith(MCP):
        parts = pattern.split(":", 2)
        if pattern != ALL_MCP and (len(parts) < 3 or not all(parts)):
            raise ValueError("must be mcp:<server>:<tool>, mcp:<server>:* for all of them, or mcp:* for all servers")
        return pattern
    if pattern in hand_offs:
        raise ValueError(f"{pattern} is carried out by the caller's side and ends the turn, so it cannot be reviewed")
    if pattern not in tools:
        known = [each for each in tools if each not in hand_offs]
        close = nearest(pattern, known) or f"; there are {', '.join(known)}, and mcp:<server>:<tool>"
        raise ValueError(f"no tool is named {pattern!r}{close}")
    return pattern


def unknown_servers(patterns: Sequence[str], servers: Collection[str], document: Document) -> Iterator[Problem]:
    """A problem for each pattern whose server does not exist: a slip there would let its tools run unreviewed."""
    for index, pattern in enumerate(patterns):
        if not pattern.startswith(MCP) or pattern == ALL_MCP:
            continue
        wanted = pattern.split(":", 2)[1]
        if not any(fnmatchcase(each, wanted) for each in servers):
            message = f"no MCP server is named {wanted!r}{nearest(wanted, servers)}"
            yield document.problem(("review", index), message)
