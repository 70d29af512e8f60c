"""Encodes events as OpenAI chunks, or as one completion. No I/O and no clock.

The fields that all chunks share are encoded once; a text chunk only adds its text.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import orjson

from agent.events import Event, Filler, HandOff, ReasoningDelta, TextDelta, TurnFailed, TurnFinished, Usage
from agent.tools.transfer_call import call_control
from api.http.errors import error_object
from api.http.sse import DONE
from config.errors import SwitchboardError, TurnSuperseded


@dataclass(frozen=True, slots=True)
class CompletionInfo:
    """The fields that all chunks of a completion share, and what to include.

    `created` is in Unix seconds. `model` is called for the first chunk, when the serving model is known;
    `provider_fields` is called for the last ones: OpenAI's fields that the provider sent for the answer.
    `function_call` adds the top-level object that older voice integrations read. `legacy_functions` answers a request
    with `functions` in its own form: one `function_call` in the message instead of `tool_calls`.
    """

    id: str
    created: int
    model: Callable[[], str]
    function_call: bool = True
    include_usage: bool = False
    legacy_functions: bool = False
    provider_fields: Callable[[], Mapping[str, str]] = dict


async def chunks(events: AsyncGenerator[Event, None], info: CompletionInfo) -> AsyncGenerator[bytes, None]:
    """The completion as SSE events, including `[DONE]`.

    Raises:
        SwitchboardError: the turn failed. If the response has started, encode it with `error_event`.
    """
    encoder: _ChunkEncoder | None = None
    usage = Usage()
    async with aclosing(events) as stream:
        async for event in stream:
            encoder = encoder or _ChunkEncoder(info)
            match _unless_superseded(event):
                case TextDelta(text, refusal):
                    yield encoder.refusal(text) if refusal else encoder.text(text)
                case ReasoningDelta(text):
                    yield encoder.reasoning(text)
                case Filler(text):
                    yield encoder.text(text)
                case HandOff() as call:
                    if chunk := encoder.hand_off(call):
                        yield chunk
                case Usage() as counted:
                    usage = counted
                case TurnFinished(reason):
                    yield encoder.finish(reason)
                    if info.include_usage:
                        yield encoder.usage(usage)
                    yield DONE
                case TurnFailed(error):
                    raise error


def error_event(error: SwitchboardError) -> bytes:
    """An error after the response has started: one `data:` line, then `[DONE]`."""
    return _sse(error_object(error)) + DONE


async def completion(events: AsyncGenerator[Event, None], info: CompletionInfo) -> dict[str, Any]:
    """The events as one `chat.completion` object.

    Raises:
        SwitchboardError: the turn failed.
    """
    builder = _CompletionBuilder()
    async with aclosing(events) as stream:
        async for event in stream:
            builder.add(event)
    return builder.completion(info)


class _ChunkEncoder:
    """Encodes the chunks of one completion."""

    def __init__(self, info: CompletionInfo) -> None:
        self._info = info
        common = {"id": info.id, "object": "chat.completion.chunk", "created": info.created, "model": info.model()}
        self._prefix = b"data: " + orjson.dumps(common)[:-1] + b","
        self._text_prefix = self._prefix + b'"choices":[{"index":0,"delta":{"content":'
        self._call_count = 0
        self._started = False

    def text(self, text: str) -> bytes:
        if not self._started:
            return self._chunk({"content": text})
        return self._text_prefix + orjson.dumps(text) + b'},"finish_reason":null}]}\n\n'

    def refusal(self, text: str) -> bytes:
        """For clients that parse answers, and for those that speak them."""
        return self._chunk({"content": text, "refusal": text})

    def reasoning(self, text: str) -> bytes:
        return self._chunk({"reasoning_content": text})

    def hand_off(self, call: HandOff) -> bytes:
        """The chunk of a call; empty for all but the first in the legacy form, which has one."""
        number, self._call_count = self._call_count, self._call_count + 1
        if self._info.legacy_functions:
            delta = {"function_call": _function(call)}
            return self._chunk(delta, **_function_call(call, self._info)) if number == 0 else b""
        return self._chunk({"tool_calls": [{"index": number, **_tool_call(call)}]}, **_function_call(call, self._info))

    def finish(self, reason: str) -> bytes:
        return self._chunk({}, _finish_reason(reason, self._info), **self._info.provider_fields())

    def usage(self, usage: Usage) -> bytes:
        chunk = {"choices": [], "usage": _usage(usage), **self._info.provider_fields()}
        return self._prefix + orjson.dumps(chunk)[1:] + b"\n\n"

    def _chunk(self, delta: dict[str, Any], finish_reason: str | None = None, **extra: Any) -> bytes:
        if not self._started:
            self._started = True
            called = "tool_calls" in delta or "function_call" in delta
            delta = {"role": "assistant", "content": None if called else "", **delta}
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
        return self._prefix + orjson.dumps({"choices": [choice], **extra})[1:] + b"\n\n"


@dataclass(slots=True)
class _CompletionBuilder:
    """Collects the events of one completion."""

    text: list[str] = field(default_factory=list)
    refusal: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    calls: list[HandOff] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)
    finish_reason: str = "stop"

    def add(self, event: Event) -> None:
        match event:
            case TextDelta(text, refusal):
                self.text.append(text)
                self.refusal += [text] * refusal
            case ReasoningDelta(text):
                self.reasoning.append(text)
            case HandOff():
                self.calls.append(event)
            case Usage():
                self.usage = event
            case TurnFinished(reason):
                self.finish_reason = reason
            case TurnFailed(TurnSuperseded()):
                self.text, self.calls, self.finish_reason = [], [], "stop"
            case TurnFailed(error):
                raise error

    def completion(self, info: CompletionInfo) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": "".join(self.text) or None}
        message["refusal"] = "".join(self.refusal) or None
        if self.reasoning:
            message["reasoning_content"] = "".join(self.reasoning)
        extra: dict[str, Any] = {}
        if self.calls:
            if info.legacy_functions:
                message["function_call"] = _function(self.calls[0])
            else:
                message["tool_calls"] = [_tool_call(call) for call in self.calls]
            extra = next((found for call in self.calls if (found := _function_call(call, info))), {})
        else:
            message["content"] = message["content"] or ""
        reason = _finish_reason(self.finish_reason, info)
        return {
            "id": info.id,
            "object": "chat.completion",
            "created": info.created,
            "model": info.model(),
            "choices": [{"index": 0, "message": message, "finish_reason": reason, "logprobs": None}],
            "usage": _usage(self.usage),
            **info.provider_fields(),
            **extra,
        }


def _unless_superseded(event: Event) -> Event:
    """A superseded turn ends as a finished one: clients send a request with an error again, and would supersede the
    newer one with it.
    """
    match event:
        case TurnFailed(TurnSuperseded()):
            return TurnFinished("stop")
    return event


def _tool_call(call: HandOff) -> dict[str, Any]:
    return {"id": call.call_id, "type": "function", "function": _function(call)}


def _function(call: HandOff) -> dict[str, str]:
    return {"name": call.name, "arguments": orjson.dumps(call.arguments).decode()}


def _finish_reason(reason: str, info: CompletionInfo) -> str:
    return "function_call" if reason == "tool_calls" and info.legacy_functions else reason


def _function_call(call: HandOff, info: CompletionInfo) -> dict[str, Any]:
    if not info.function_call or call_control(call.name) is None:
        return {}
    return {"function_call": {"name": call.name, "arguments": call.arguments}}


def _usage(usage: Usage) -> dict[str, Any]:
    counts: dict[str, Any] = {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
    }
    if usage.cached_tokens is not None:
        counts["prompt_tokens_details"] = {"cached_tokens": usage.cached_tokens}
    if usage.reasoning_tokens is not None:
        counts["completion_tokens_details"] = {"reasoning_tokens": usage.reasoning_tokens}
    return counts


def _sse(value: dict[str, Any]) -> bytes:
    return b"data: " + orjson.dumps(value) + b"\n\n"
