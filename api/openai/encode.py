"""Events become OpenAI chunks; a non-streamed answer is the fold of the same events. Pure: no I/O, no clock.

The chunk's head is the same for a whole answer, so it is encoded once and text is put between two pieces of bytes.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import orjson

from agent.events import Event, HandOff, TextDelta, TurnFailed, TurnFinished, Usage
from agent.tools.transfer_call import END_TOOLS, TRANSFER_TOOLS
from api.http.errors import error_object
from api.http.sse import DONE
from config.errors import SwitchboardError


@dataclass(frozen=True, slots=True)
class AnswerHead:
    """What every chunk of an answer repeats. `created` is in Unix seconds; `model` is asked for with the first chunk,
    when it is known who serves. `function_call` adds the top-level object that older voice integrations read.
    """

    id: str
    created: int
    model: Callable[[], str]
    function_call: bool = True
    include_usage: bool = False


async def chunks(events: AsyncGenerator[Event, None], head: AnswerHead) -> AsyncGenerator[bytes, None]:
    """The answer as SSE events, up to and with `[DONE]`.

    Raises:
        SwitchboardError: the turn failed; `error_event` encodes it once the head of the response is out.
    """
    encoder: _ChunkEncoder | None = None
    usage = Usage()
    async with aclosing(events) as stream:
        async for event in stream:
            encoder = encoder or _ChunkEncoder(head)
            match event:
                case TextDelta(text):
                    yield encoder.text(text)
                case HandOff():
                    yield encoder.hand_off(event)
                case Usage():
                    usage = event
                case TurnFinished(reason):
                    yield encoder.finish(reason)
                    if head.include_usage:
                        yield encoder.usage(usage)
                    yield DONE
                case TurnFailed(error):
                    raise error


def error_event(error: SwitchboardError) -> bytes:
    """An error after the head of the response: one `data:` line, then `[DONE]`."""
    return _sse(error_object(error)) + DONE


async def completion(events: AsyncGenerator[Event, None], head: AnswerHead) -> dict[str, Any]:
    """The whole answer as one `chat.completion`: the fold of the events.

    Raises:
        SwitchboardError: the turn failed.
    """
    folded = _Folded()
    async with aclosing(events) as stream:
        async for event in stream:
            folded.add(event)
    return folded.completion(head)


class _ChunkEncoder:
    """Encodes one answer's chunks."""

    def __init__(self, head: AnswerHead) -> None:
        self._head = head
        common = {"id": head.id, "object": "chat.completion.chunk", "created": head.created, "model": head.model()}
        self._before = b"data: " + orjson.dumps(common)[:-1] + b","
        self._before_text = self._before + b'"choices":[{"index":0,"delta":{"content":'
        self._calls = 0
        self._begun = False

    def text(self, text: str) -> bytes:
        if not self._begun:
            return self._chunk({"content": text})
        return self._before_text + orjson.dumps(text) + b'},"finish_reason":null}]}\n\n'

    def hand_off(self, call: HandOff) -> bytes:
        delta = {"tool_calls": [{"index": self._calls, **_tool_call(call)}]}
        self._calls += 1
        return self._chunk(delta, **_function_call(call, self._head))

    def finish(self, reason: str) -> bytes:
        return self._chunk({}, reason)

    def usage(self, usage: Usage) -> bytes:
        return self._before + orjson.dumps({"choices": [], "usage": _usage(usage)})[1:] + b"\n\n"

    def _chunk(self, delta: dict[str, Any], finish_reason: str | None = None, **extra: Any) -> bytes:
        if not self._begun:
            self._begun = True
            delta = {"role": "assistant", "content": None if "tool_calls" in delta else "", **delta}
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
        return self._before + orjson.dumps({"choices": [choice], **extra})[1:] + b"\n\n"


@dataclass(slots=True)
class _Folded:
    """What the events add up to."""

    text: list[str] = field(default_factory=list)
    calls: list[HandOff] = field(default_factory=list)
    tokens: Usage = field(default_factory=Usage)
    reason: str = "stop"

    def add(self, event: Event) -> None:
        match event:
            case TextDelta(text):
                self.text.append(text)
            case HandOff():
                self.calls.append(event)
            case Usage():
                self.tokens = event
            case TurnFinished(reason):
                self.reason = reason
            case TurnFailed(error):
                raise error

    def completion(self, head: AnswerHead) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": "".join(self.text) or None, "refusal": None}
        extra: dict[str, Any] = {}
        if self.calls:
            message["tool_calls"] = [_tool_call(call) for call in self.calls]
            extra = next((found for call in self.calls if (found := _function_call(call, head))), {})
        else:
            message["content"] = message["content"] or ""
        return {
            "id": head.id,
            "object": "chat.completion",
            "created": head.created,
            "model": head.model(),
            "choices": [{"index": 0, "message": message, "finish_reason": self.reason, "logprobs": None}],
            "usage": _usage(self.tokens),
            **extra,
        }


def _tool_call(call: HandOff) -> dict[str, Any]:
    arguments = orjson.dumps(call.arguments).decode()
    return {"id": call.call_id, "type": "function", "function": {"name": call.name, "arguments": arguments}}


def _function_call(call: HandOff, head: AnswerHead) -> dict[str, Any]:
    if not head.function_call or not (call.name in TRANSFER_TOOLS or call.name in END_TOOLS):
        return {}
    return {"function_call": {"name": call.name, "arguments": call.arguments}}


def _usage(usage: Usage) -> dict[str, int]:
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
    }


def _sse(value: dict[str, Any]) -> bytes:
    return b"data: " + orjson.dumps(value) + b"\n\n"
