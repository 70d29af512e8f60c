"""Assembles a provider's signed thoughts, which it wants back unchanged beside the tool calls that they led to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from router.stream.valid_text import valid_text


class ThinkingBlocks:
    """Collects Anthropic's thinking blocks from LiteLLM's fragments: unsigned text first, then the signature.

    `complete` are the blocks that are signed or redacted. No provider takes the others back.
    """

    def __init__(self) -> None:
        self.complete: list[dict[str, Any]] = []
        self._text: list[str] = []

    def add(self, fragments: Iterable[Any]) -> None:
        """Add one delta's fragments."""
        for fragment in fragments:
            match fragment:
                case {"type": "redacted_thinking", "data": str() as data}:
                    self.complete.append({"type": "redacted_thinking", "data": valid_text(data)})
                case {"type": "thinking", "signature": str() as signature, **rest} if signature:
                    text = valid_text(str(rest.get("thinking") or "".join(self._text)))  # some repeat the whole text
                    self.complete.append({"type": "thinking", "thinking": text, "signature": valid_text(signature)})
                    self._text.clear()
                case {"type": "thinking", "thinking": str() as text}:
                    self._text.append(text)
