"""Validates a streamed answer as strictly as the strictest voice client."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

KEEP_ALIVE = ": keep-alive"
FINISH_REASONS = {"stop", "length", "content_filter", "tool_calls"}
CHUNK_KEYS = {"id", "object", "created", "model", "choices"}


@dataclass(frozen=True, slots=True)
class CheckedStream:
    """The contents of a valid stream. `tool_calls` has (name, arguments) in order."""

    model: str | None
    text: str
    tool_calls: tuple[tuple[str, Mapping[str, Any]], ...]
    function_calls: tuple[Mapping[str, Any], ...]
    finish_reason: str | None
    usage: Mapping[str, int] | None
    error: Mapping[str, Any] | None
    keep_alives: int


def check_stream(raw: bytes, *, include_usage: bool = False) -> CheckedStream:
    """Check the body of a streamed answer. `include_usage`: whether the request asked for the usage.

    Raises AssertionError with the broken rule.
    """
    lines, keep_alives = _data_lines(raw)
    assert lines.count("[DONE]") == 1, "[DONE] must come once"
    values = [_object(line) for line in lines[:-1]]
    error = values.pop()["error"] if values and "error" in values[-1] else None
    if error is not None:
        assert set(error) == {"message", "type", "param", "code"}, f"an error has other fields: {error}"
        assert isinstance(error["message"], str) and error["message"], "an error needs a message"
    return _Reader(error).read(values, include_usage=include_usage, keep_alives=keep_alives)


def _data_lines(raw: bytes) -> tuple[list[str], int]:
    text = raw.decode("utf-8")
    assert "\r" not in text, "lines end with a line feed alone"
    assert text.endswith("\n\n"), "the last event is not closed by an empty line"
    events = text[:-2].split("\n\n")
    assert all(event and "\n" not in event for event in events), "an event must be one line, and end with an empty one"
    assert all(event == KEEP_ALIVE or event.startswith("data: ") for event in events), (
        f"a line is neither data nor the keep-alive comment: {[event for event in events if event[:6] != 'data: ']}"
    )
    data = [event.removeprefix("data: ") for event in events if event != KEEP_ALIVE]
    assert events[-1] == "data: [DONE]", "the stream must end with [DONE]"
    return data, len(events) - len(data)


def _object(line: str) -> dict[str, Any]:
    value = json.loads(line)
    assert isinstance(value, dict), f"a data line holds no object: {line}"
    return value


class _Reader:
    """Reads the chunks in order; each assertion is one rule of the wire format."""

    def __init__(self, error: Mapping[str, Any] | None) -> None:
        self._error = error
        self._text: list[str] = []
        self._calls: list[tuple[str, Mapping[str, Any]]] = []
        self._call_ids: list[str] = []
        self._function_calls: list[Mapping[str, Any]] = []
        self._finish: str | None = None
        self._usage: Mapping[str, int] | None = None

    def read(self, chunks: list[dict[str, Any]], *, include_usage: bool, keep_alives: int) -> CheckedStream:
        for number, chunk in enumerate(chunks):
            self._read_head(chunk, chunks[0])
            if chunk["choices"]:
                self._read_choice(chunk, first=number == 0)
            else:
                self._read_usage(chunk)
        if self._error is None:
            assert self._finish is not None, "the stream ended without a finish_reason"
            assert (self._finish == "tool_calls") == bool(self._calls), (
                "finish_reason is tool_calls if, and only if, there are tool calls"
            )
            assert (self._usage is not None) == include_usage, "usage comes if, and only if, it was asked for"
        else:
            assert self._finish is None, "a finished answer cannot fail"
        return CheckedStream(
            model=chunks[0]["model"] if chunks else None,
            text="".join(self._text),
            tool_calls=tuple(self._calls),
            function_calls=tuple(self._function_calls),
            finish_reason=self._finish,
            usage=self._usage,
            error=self._error,
            keep_alives=keep_alives,
        )

    def _read_head(self, chunk: dict[str, Any], first: dict[str, Any]) -> None:
        assert chunk.keys() >= CHUNK_KEYS, f"a chunk is not complete: {chunk}"
        assert chunk.keys() <= CHUNK_KEYS | {"usage", "function_call"}, f"a chunk has unknown fields: {chunk}"
        assert isinstance(chunk["id"], str) and chunk["id"], "id must be a string"
        assert chunk["object"] == "chat.completion.chunk", "object must be chat.completion.chunk"
        assert type(chunk["created"]) is int, "created must be a whole number"
        assert isinstance(chunk["model"], str) and chunk["model"], "model must be a string"
        assert isinstance(chunk["choices"], list), "choices must be a list"
        same = ("id", "created", "model")
        assert [chunk[key] for key in same] == [first[key] for key in same], (
            "chunks of one answer must share their head"
        )

    def _read_choice(self, chunk: dict[str, Any], *, first: bool) -> None:
        assert self._finish is None, "only the usage may follow the finish_reason"
        [choice] = chunk["choices"]
        assert set(choice) == {"index", "delta", "finish_reason"}, f"a choice has other fields: {choice}"
        assert choice["index"] == 0, "there is one choice"
        delta = choice["delta"]
        assert isinstance(delta, dict), "delta must be an object"
        assert delta.keys() <= {"role", "content", "tool_calls"}, f"a delta has unknown fields: {delta}"
        assert not first or delta.get("role") == "assistant", "the first delta must carry the role"
        if delta.get("content") is not None:
            assert isinstance(delta["content"], str), "content must be a string"
            assert not delta["content"] or not self._calls, "text must come before tool calls"
            self._text.append(delta["content"])
        if "tool_calls" in delta:
            self._read_call(delta, chunk.get("function_call"))
        else:
            assert "function_call" not in chunk, "function_call must come beside the tool call that it repeats"
        if choice["finish_reason"] is not None:
            assert choice["finish_reason"] in FINISH_REASONS, f"unknown finish_reason {choice['finish_reason']!r}"
            self._finish = choice["finish_reason"]

    def _read_call(self, delta: dict[str, Any], function_call: Any) -> None:
        assert not delta.get("content"), "text and a tool call must not share a delta"
        [call] = delta["tool_calls"]
        assert set(call) == {"index", "id", "type", "function"}, f"a tool call is not whole: {call}"
        assert call["index"] == len(self._calls), "tool calls must be counted from 0"
        assert isinstance(call["id"], str) and call["id"], "a tool call needs an id"
        assert call["id"] not in self._call_ids, "two tool calls share an id"
        assert call["type"] == "function", "a tool call's type must be function"
        function = call["function"]
        assert set(function) == {"name", "arguments"}, f"a tool call's function has other fields: {function}"
        assert isinstance(function["name"], str) and function["name"], "a tool call needs a name"
        assert isinstance(function["arguments"], str), "arguments must be a JSON string"
        arguments = json.loads(function["arguments"])
        assert isinstance(arguments, dict), "arguments must be an object, encoded once"
        if function_call is not None:
            expected = {"name": function["name"], "arguments": arguments}
            assert function_call == expected, "function_call must repeat the tool call, its arguments as an object"
            self._function_calls.append(function_call)
        self._call_ids.append(call["id"])
        self._calls.append((function["name"], arguments))

    def _read_usage(self, chunk: dict[str, Any]) -> None:
        assert self._finish is not None, "usage comes after the finish_reason"
        assert self._usage is None, "usage comes once"
        usage = chunk.get("usage")
        assert isinstance(usage, dict), "a chunk without choices must hold the usage"
        counts = [usage[key] for key in ("prompt_tokens", "completion_tokens", "total_tokens")]
        assert all(type(count) is int and count >= 0 for count in counts), f"usage must hold whole numbers: {usage}"
        assert counts[0] + counts[1] == counts[2], f"the usage does not add up: {usage}"
        self._usage = usage
