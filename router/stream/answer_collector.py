"""Judges the stream of one attempt: what may go on at once, and in the end whether it was an answer at all."""

from __future__ import annotations

from typing import Any

from config.errors import BadAnswer, ContentPolicyViolation
from router.lanes.base import Chunk
from router.stream.tool_calls import ToolCallGatherer


class AnswerCollector:
    """Judges one attempt's stream: passes text on, gathers the rest, and in the end says whether it was an answer."""

    def __init__(self) -> None:
        self._calls = ToolCallGatherer()
        self._text = False
        self._finish: str | None = None
        self._usage: Chunk | None = None

    @property
    def paid(self) -> Chunk | None:
        """The usage of an answer of which text went out, as far as the provider has told it."""
        return self._usage if self._text else None

    def take(self, chunk: Chunk) -> Chunk | None:
        """Take one chunk; what may go on at once comes back."""
        if chunk.get("usage"):
            self._usage = {"choices": [], "usage": chunk["usage"]}
        if not chunk["choices"]:
            return None
        choice = chunk["choices"][0]
        delta = choice["delta"]
        self._finish = self._finish or choice.get("finish_reason")
        if delta.get("tool_calls"):
            self._calls.add(delta["tool_calls"])
        kept = {key: delta[key] for key in ("content", "reasoning_content") if delta.get(key)}
        if not kept:
            return None
        self._text = self._text or "content" in kept
        return _chunk({"role": "assistant", **kept})

    def final_chunks(self) -> list[Chunk]:
        """What follows the text.

        Raises:
            BadAnswer: there was no text and no tool call, or a tool call was not whole.
            ContentPolicyViolation: the provider's filter took the whole answer.
        """
        calls = self._calls.whole()
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
