"""The log line with what was said in a turn. For debugging: only if log lines may quote content."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import structlog
from langchain_core.messages import AIMessage, AnyMessage, ToolMessage

from config.log_content import logs_content

log = structlog.get_logger(__name__)


def log_turn_content(asked: Sequence[AnyMessage], produced: Sequence[AnyMessage], unfinished: str) -> None:
    """Log the messages of the request, the answers with their tool calls, the tools' results, and unfinished text."""
    if logs_content():
        said = {"asked": [*map(_shown, asked)], "answered": [*map(_shown, produced)]}
        log.info("turn_content", **said, unfinished=unfinished or None)


def _shown(message: AnyMessage) -> dict[str, Any]:
    return dict(_fields(message))


def _fields(message: AnyMessage) -> Iterator[tuple[str, Any]]:
    yield "type", message.type
    yield "content", message.content
    if isinstance(message, AIMessage) and message.tool_calls:
        yield "tool_calls", [{"name": call["name"], "arguments": call["args"]} for call in message.tool_calls]
    if isinstance(message, ToolMessage):
        yield "tool", message.name
