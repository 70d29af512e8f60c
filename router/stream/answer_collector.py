"""Collects and validates the answer of one attempt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from config.errors import BadAnswer, ContentPolicyViolation
from router.lanes.base import Chunk
from router.stream.thinking_blocks import ThinkingBlocks
from router.stream.tool_calls import ToolCallCollector
from router.stream.valid_text import TextPieces

_TEXTS: Final = ("content", "refusal", "reasoning_content", "reasoning")


class AnswerCollector:
    """Passes text and reasoning on at once, and collects tool calls, finish reason and usage until the end.

    `provider` is who answers. `call_ids` and `origin` are known after `final_chunks`: our ids of the tool calls, and
    what goes back to the provider alone, see `router.history`. `has_stop`: the request names stop sequences, so the
    answer may be empty through no fault of the provider.
    """

    def __init__(self, provider: str = "", *, has_stop: bool = False) -> None:
        self.call_ids: list[str] = []
        self.origin: dict[str, Any] | None = None
        self._provider = provider
        self._has_stop = has_stop
        self._calls = ToolCallCollector()
        self._reasoning: list[str] = []
        self._thinking = ThinkingBlocks()
        self._pieces = {name: TextPieces() for name in _TEXTS}
        self._said: list[str] = []
        self._text = False
        self._finish: str | None = None
        self._usage: Chunk | None = None

    @property
    def usage(self) -> Mapping[str, Any] | None:
        """What the provider has reported so far; None if it has counted no token."""
        usage = self._usage["usage"] if self._usage else {}
        return usage if usage.get("prompt_tokens") or usage.get("completion_tokens") else None

    @property
    def finish_reason(self) -> str | None:
        """What the provider says why its answer ended."""
        return self._finish

    @property
    def has_text(self) -> bool:
        """Whether text was passed on."""
        return self._text

    @property
    def answered(self) -> str:
        """All that the model has said so far: text, reasoning and tool calls."""
        return "".join(self._said) + self._calls.text

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
        if blocks := delta.get("thinking_blocks"):
            self._thinking.add(blocks)
        given = {name: delta[name] for name in _TEXTS if delta.get(name) and isinstance(delta[name], str)}
        passed = {name: text for name, piece in given.items() if (text := self._pieces[name].take(piece))}
        self._said += passed.values()
        self._reasoning.append(passed.get("reasoning_content", ""))
        if reasoning := passed.pop("reasoning", None):
            passed["reasoning_content"] = reasoning
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
        try:
            calls = self._calls.complete_calls()
        except BadAnswer as exc:
            exc.counts = self._finish != "length"  # the request's token limit may have cut the call
            raise
        rest = self._pieces["content"].end()
        if not calls and not self._text and not rest:
            if self._finish == "content_filter":
                raise ContentPolicyViolation(
                    "The provider's content filter withheld the answer.", category="content_filter"
                )
            if self._finish != "length":
                error = BadAnswer("the provider's answer was empty")
                error.counts = not self._has_stop
                raise error
        chunks = [_chunk({"role": "assistant", "content": rest})] if rest else []
        chunks += [_chunk({"role": "assistant", "content": None, "tool_calls": calls})] if calls else []
        self.call_ids = [call["id"] for call in calls]
        self.origin = self._found_origin()
        last = {"role": "assistant", "content": None} | ({"origin": self.origin} if self.origin else {})
        chunks.append(_chunk(last, "tool_calls" if calls else self._finish or "stop"))
        return [*chunks, self._usage] if self._usage and self.usage else chunks

    def _found_origin(self) -> dict[str, Any] | None:
        origin: dict[str, Any] = {}
        if ids := self._calls.original_ids:
            origin["call_ids"] = ids
        if blocks := self._thinking.complete:
            origin["thinking_blocks"] = blocks
        elif reasoning := "".join(self._reasoning):
            origin["reasoning_content"] = reasoning
        return {"provider": self._provider, **origin} if origin else None


def _chunk(delta: dict[str, Any], finish_reason: str | None = None) -> Chunk:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]}
