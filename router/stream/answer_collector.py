"""Collects and validates the answer of one attempt."""

from __future__ import annotations

from typing import Any

from config.errors import BadAnswer, ContentPolicyViolation
from router.lanes.base import Chunk
from router.stream.tool_calls import ToolCallCollector


class AnswerCollector:
    """Passes text and reasoning on at once, and collects tool calls, finish reason and usage until the end."""

    def __init__(self) -> None:
        self._calls = ToolCallCollector()
        self._text = False
        self._finish: str | None = None
        self._usage: Chunk | None = None

    @property
    def paid(self) -> Chunk | None:
        """The usage of an answer whose text was passed on; None without text or reported usage."""
        return self._usage if self._text else None

    def take(self, chunk: Chunk) -> Chunk | None:
        """Take one chunk; returns what to pass on now, or None."""
        if chunk.get("usage"):
            self._usage = {"choices": [], "usage": chunk["usage"]}
        if not chunk["choices"]:
            return None
        choice = chunk["choices"][0]
        delta = choice["delta"]
        self._finish = self._finish or choice.get("finish_reason")
        if delta.get("tool_calls"):
            self._calls.add(delta["tool_calls"])
        passed = {key: delta[key] for key in ("content", "reasoning_content") if delta.get(key)}
        if not passed:
            return None
        self._text = self._text or "content" in passed
        return _chunk({"role": "assistant", **passed})

    def final_chunks(self) -> list[Chunk]:
        """The chunks after the text: tool calls, finish reason, usage. Call it at the end of the stream.

        Raises:
            BadAnswer: the answer is empty, or a tool call is incomplete.
            ContentPolicyViolation: the provider's content filter withheld the whole answer.
        """
        calls = self._calls.complete_calls()
        if not calls and not self._text:
            if self._finish == "content_filter":
                raise ContentPolicyViolation(
                    "The provider's content filter withheld the answer.", category="content_filter"
                )
            if self._finish != "length":
                raise BadAnswer("the provider's answer was empty")
        chunks = [_chunk({"role": "assistant", "content": None, "tool_calls": calls})] if calls else []
        chunks.append(_chunk({"role": "assistant", "content": None}, "tool_calls" if calls else self._finish or "stop"))
        return [*chunks, self._usage] if self._usage else chunks


def _chunk(delta: dict[str, Any], finish_reason: str | None = None) -> Chunk:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]}
