"""Encodes events as Anthropic's stream, or as one message, which is the fold of that stream. No I/O and no clock."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final

import orjson

from agent.events import Event, HandOff, ReasoningDelta, TextDelta, TurnFailed, TurnFinished, Usage
from api.http.anthropic_errors import anthropic_error_object
from api.http.errors import status_of
from config.errors import SwitchboardError, TurnSuperseded

WireEvent = dict[str, Any]

STOP_REASONS: Final[Mapping[str, str]] = {
    "length": "max_tokens",
    "content_filter": "refusal",
    "tool_calls": "tool_use",
}


@dataclass(frozen=True, slots=True)
class MessageInfo:
    """What the message says beside its content. `model` is called for the first event, when the serving model is known.

    `input_tokens` is an estimate: the count comes at the end. `shows_thinking`: the caller reads thoughts.
    """

    id: str
    model: Callable[[], str]
    input_tokens: int
    shows_thinking: bool = False


class MessageEncoder:
    """Encodes the events of one turn."""

    def __init__(self, info: MessageInfo) -> None:
        self._info = info
        self._started = False
        self._blocks = 0
        self._open: str | None = None
        self._refused = False
        self._usage = Usage()

    async def sse(self, events: AsyncGenerator[Event, None]) -> AsyncGenerator[bytes, None]:
        """The message as server-sent events.

        Raises:
            SwitchboardError: the turn failed. If the response has started, encode it with `error_event`.
        """
        async with aclosing(events) as stream:
            async for event in stream:
                if encoded := self.encode(event):
                    yield _sse(encoded)

    async def whole(self, events: AsyncGenerator[Event, None]) -> dict[str, Any]:
        """The message.

        Raises:
            SwitchboardError: the turn failed.
        """
        folded, superseded = _Fold(), False
        async with aclosing(events) as stream:
            async for event in stream:
                superseded = isinstance(event, TurnFailed) and isinstance(event.error, TurnSuperseded)
                for each in self.encode(event):
                    folded.add(each)
        # Nobody wants the beginning of an answer that a newer request replaced.
        return folded.message | ({"content": []} if superseded else {})

    def ping(self) -> bytes:
        """The keep-alive. A message begins with `message_start`, so that comes first."""
        return _sse([*self._start(), {"type": "ping"}])

    def encode(self, event: Event) -> list[WireEvent]:
        """What the caller gets for one event of the turn. Raises SwitchboardError: the turn failed."""
        match event:
            case TextDelta(text, refusal):
                self._refused = self._refused or refusal
                return [*self._block({"type": "text", "text": ""}), self._delta(type="text_delta", text=text)]
            case ReasoningDelta(text) if self._info.shows_thinking:
                thought = {"type": "thinking", "thinking": "", "signature": ""}
                return [*self._block(thought), self._delta(type="thinking_delta", thinking=text)]
            case HandOff(call_id, name, arguments):
                block: WireEvent = {"type": "tool_use", "id": call_id, "name": name, "input": {}}
                written = orjson.dumps(arguments).decode()
                return [*self._block(block), self._delta(type="input_json_delta", partial_json=written), *self._stop()]
            case Usage():
                self._usage = event
            case TurnFinished(reason):
                return self._end(reason)
            case TurnFailed(TurnSuperseded()):
                # Clients send a request with an error again, and would supersede the newer one with it.
                return self._end("stop")
            case TurnFailed(error):
                raise error
        return []

    def _start(self) -> list[WireEvent]:
        if self._started:
            return []
        self._started = True
        message: dict[str, Any] = {
            "id": self._info.id,
            "type": "message",
            "role": "assistant",
            "model": self._info.model(),
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {"input_tokens": self._info.input_tokens, "output_tokens": 0},
        }
        return [{"type": "message_start", "message": message}]

    def _block(self, block: WireEvent) -> list[WireEvent]:
        """Begins `block`, unless one of its type is open: texts go on, and so do thoughts."""
        if self._open == block["type"]:
            return []
        before = [*self._start(), *self._stop()]
        self._open = block["type"]
        self._blocks += 1
        return [*before, {"type": "content_block_start", "index": self._blocks - 1, "content_block": block}]

    def _delta(self, **delta: str) -> WireEvent:
        return {"type": "content_block_delta", "index": self._blocks - 1, "delta": delta}

    def _stop(self) -> list[WireEvent]:
        if self._open is None:
            return []
        self._open = None
        return [{"type": "content_block_stop", "index": self._blocks - 1}]

    def _end(self, reason: str) -> list[WireEvent]:
        stop_reason = "refusal" if self._refused else STOP_REASONS.get(reason, "end_turn")
        delta = {"stop_reason": stop_reason, "stop_sequence": None}
        return [
            *self._start(),
            *self._stop(),
            {"type": "message_delta", "delta": delta, "usage": _usage(self._usage)},
            {"type": "message_stop"},
        ]


def error_event(error: SwitchboardError) -> bytes:
    """An error after the response has started."""
    return _sse([anthropic_error_object(error, status_of(error))])


def model_list(names: Sequence[str]) -> dict[str, Any]:
    """Anthropic's list of models; one page holds them all."""
    return {
        "data": [model_object(name) for name in names],
        "has_more": False,
        "first_id": names[0] if names else None,
        "last_id": names[-1] if names else None,
    }


def model_object(name: str) -> dict[str, Any]:
    """A model of Anthropic's list. When it was made is not known."""
    created = "1970-01-01T00:00:00Z"
    return {"type": "model", "id": name, "display_name": name, "created_at": created, "lifecycle": "active"}


class _Fold:
    """Adds up the events of a stream to the message."""

    def __init__(self) -> None:
        self.message: dict[str, Any] = {}
        self._pieces: list[str] = []

    def add(self, event: WireEvent) -> None:
        match event:
            case {"type": "message_start", "message": message}:
                self.message = {**message, "content": []}
            case {"type": "content_block_start", "content_block": block}:
                self.message["content"].append(dict(block))
                self._pieces = []
            case {"type": "content_block_delta", "delta": delta}:
                self._pieces += [value for name, value in delta.items() if name != "type"]
            case {"type": "content_block_stop"}:
                block, written = self.message["content"][-1], "".join(self._pieces)
                name, value = (
                    ("input", orjson.loads(written)) if block["type"] == "tool_use" else (block["type"], written)
                )
                block[name] = value
            case {"type": "message_delta", "delta": delta, "usage": usage}:
                self.message |= {**delta, "usage": usage}


def _usage(usage: Usage) -> dict[str, Any]:
    """Anthropic counts cached tokens beside `input_tokens`, not among them."""
    cached = usage.cached_tokens or 0
    counts: dict[str, Any] = {
        "input_tokens": max(0, usage.input_tokens - cached),
        "cache_read_input_tokens": cached,
        "output_tokens": usage.output_tokens,
    }
    if usage.reasoning_tokens is not None:
        counts["output_tokens_details"] = {"thinking_tokens": usage.reasoning_tokens}
    return counts


def _sse(events: Iterable[WireEvent]) -> bytes:
    return b"".join(b"event: %b\ndata: %b\n\n" % (each["type"].encode(), orjson.dumps(each)) for each in events)
