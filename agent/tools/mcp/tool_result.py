"""Converts the result of an MCP tool to text for the model."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from mcp_types import (
    AudioContent,
    CallToolResult,
    ContentBlock,
    EmbeddedResource,
    ImageContent,
    ResourceLink,
    TextContent,
    TextResourceContents,
)

MAX_CHARS = 100_000
"""Characters of a result that the model gets."""

_NO_SUCH_TOOL = re.compile(r"unknown tool|tool\b.{0,80}\bnot found", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ToolResult:
    """`is_error` is the server's own flag. `text` is never empty: some providers refuse an empty tool result."""

    text: str
    is_error: bool = False

    @property
    def tool_is_unknown(self) -> bool:
        """Whether the server no longer has the tool. MCP has no error code for that, so the text decides."""
        return self.is_error and bool(_NO_SUCH_TOOL.search(self.text[:200]))


def to_tool_result(result: CallToolResult) -> ToolResult:
    """The text of the result, or its structured content as JSON when it has no text."""
    parts = [_text(block) for block in result.content]
    has_text = any(isinstance(block, TextContent) and block.text for block in result.content)
    if not has_text and result.structured_content is not None:
        parts.append(json.dumps(result.structured_content, ensure_ascii=False))
    text = "\n".join(part for part in parts if part)
    return ToolResult(truncated(text) or "The tool gave no output.", bool(result.is_error))


def truncated(text: str) -> str:
    """The text, cut to `MAX_CHARS` with a note."""
    if len(text) <= MAX_CHARS:
        return text
    return f"{text[:MAX_CHARS]}\n[cut here: these are the first {MAX_CHARS:,} of {len(text):,} characters]"


def _text(block: ContentBlock) -> str:
    match block:
        case TextContent():
            return block.text
        case ImageContent():
            return f"[an image ({block.mime_type}), which cannot be shown here]"
        case AudioContent():
            return f"[a sound ({block.mime_type}), which cannot be played here]"
        case ResourceLink():
            return f"[a link to a resource: {block.title or block.name}, {block.uri}]"
        case EmbeddedResource(resource=TextResourceContents() as resource):
            return f"[the resource {resource.uri}]\n{resource.text}"
        case EmbeddedResource():
            kind = block.resource.mime_type or "binary"
            return f"[the resource {block.resource.uri} ({kind}), which cannot be shown here]"
