"""Tests of the validator: it accepts valid streams and rejects every kind of invalid one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.clients.check_stream import check_stream

DONE = b"data: [DONE]\n\n"
USAGE = {"usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}}


def chunk(choices: list[dict[str, Any]] | None = None, **changes: Any) -> dict[str, Any]:
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "fake"}
    return {**head, "choices": choices or [], **changes}


def delta(reason: str | None = None, **fields: Any) -> dict[str, Any]:
    return {"index": 0, "delta": fields, "finish_reason": reason}


def call(index: int = 0, arguments: Any = '{"a":1}', **changes: Any) -> dict[str, Any]:
    function = {"name": "lookup", "arguments": arguments}
    return {"index": index, "id": f"call_{index}", "type": "function", "function": function, **changes}


def sse(*values: dict[str, Any]) -> bytes:
    return b"".join(b"data: " + json.dumps(value).encode() + b"\n\n" for value in values)


HELLO = chunk([delta(role="assistant", content="Hello")])
STOP = chunk([delta("stop")])
CALLED = chunk([delta("tool_calls")])
ERROR = {"error": {"message": "It broke.", "type": "server_error", "param": None, "code": "answer_interrupted"}}


def with_calls(*calls: dict[str, Any], **extra: Any) -> bytes:
    return sse(HELLO, *[chunk([delta(tool_calls=[each])], **extra) for each in calls], CALLED) + DONE


def test_a_valid_stream_is_accepted() -> None:
    answer = check_stream(b": keep-alive\n\n" + sse(HELLO, STOP, chunk(**USAGE)) + DONE, include_usage=True)
    assert (answer.text, answer.finish_reason, answer.keep_alives) == ("Hello", "stop", 1)
    assert answer.usage == USAGE["usage"]


def test_tool_calls_and_the_object_beside_them_are_read() -> None:
    answer = check_stream(with_calls(call(), function_call={"name": "lookup", "arguments": {"a": 1}}))
    assert answer.tool_calls == (("lookup", {"a": 1}),)
    assert answer.function_calls == ({"name": "lookup", "arguments": {"a": 1}},)


def test_an_error_takes_the_place_of_the_end() -> None:
    answer = check_stream(sse(HELLO, ERROR) + DONE)
    assert (answer.text, answer.finish_reason, answer.error) == ("Hello", None, ERROR["error"])


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (sse(HELLO, STOP), "must end with"),
        (sse(HELLO, STOP) + DONE + DONE, "once"),
        (sse(HELLO) + DONE + sse(STOP), "must end with"),
        (sse(HELLO, STOP) + DONE + b": keep-alive\n\n", "must end with"),
        (sse(HELLO, STOP) + b"data: [DONE]\n", "not closed"),
        (b"event: message\n" + sse(HELLO, STOP) + DONE, "must be one line"),
        (b"event: message\n\n" + sse(HELLO, STOP) + DONE, "neither data"),
        (sse(HELLO, STOP).replace(b"\n", b"\r\n") + DONE, "line feed alone"),
        (sse(HELLO) + DONE, "without a finish_reason"),
        (sse(HELLO, STOP, STOP) + DONE, "only the usage"),
        (sse(HELLO, STOP, chunk(**USAGE)) + DONE, "asked for"),
        (sse(chunk([delta(content="Hello")]), STOP) + DONE, "carry the role"),
        (sse(HELLO, CALLED) + DONE, "if, and only if"),
        (sse(HELLO, chunk([delta("eos")])) + DONE, "unknown finish_reason"),
        (sse(HELLO, {**STOP, "model": "other"}) + DONE, "share their head"),
        (sse(HELLO, {key: STOP[key] for key in STOP if key != "choices"}) + DONE, "not complete"),
        (sse(HELLO, {**STOP, "choices": None}) + DONE, "must be a list"),
        (sse(HELLO, {**STOP, "created": 1.5}) + DONE, "whole number"),
        (sse(HELLO, {**STOP, "object": "chat.completion"}) + DONE, "chat.completion.chunk"),
        (sse(HELLO, chunk([{**delta("stop"), "delta": None}])) + DONE, "delta must be an object"),
        (sse(HELLO, chunk([{**delta("stop"), "message": {}}])) + DONE, "other fields"),
        (sse(HELLO, {**STOP, "function_call": {}}) + DONE, "beside the tool call"),
        (with_calls(call(index=1)), "counted from 0"),
        (with_calls(call(), call()), "counted from 0"),
        (with_calls(call(), call(1, id="call_0")), "share an id"),
        (with_calls(call(id=None)), "needs an id"),
        (with_calls({"index": 0, "function": {"arguments": "{}"}}), "not whole"),
        (with_calls(call(arguments={"a": 1})), "JSON string"),
        (with_calls(call(arguments=json.dumps('{"a":1}'))), "encoded once"),
        (with_calls(call(), function_call={"name": "lookup", "arguments": '{"a":1}'}), "must repeat"),
        (sse(HELLO, chunk([delta(content="x", tool_calls=[call()])]), CALLED) + DONE, "share a delta"),
        (sse(HELLO, chunk([delta(tool_calls=[call()])]), HELLO, CALLED) + DONE, "before tool calls"),
        (sse(HELLO, STOP, ERROR) + DONE, "cannot fail"),
        (sse(HELLO, {"error": {"message": "It broke."}}) + DONE, "other fields"),
    ],
)
def test_a_broken_rule_is_named(raw: bytes, says: str) -> None:
    with pytest.raises(AssertionError, match=says):
        check_stream(raw)


def test_usage_that_was_asked_for_must_come_and_add_up() -> None:
    with pytest.raises(AssertionError, match="asked for"):
        check_stream(sse(HELLO, STOP) + DONE, include_usage=True)
    wrong = chunk(usage={**USAGE["usage"], "total_tokens": 9})
    with pytest.raises(AssertionError, match="add up"):
        check_stream(sse(HELLO, STOP, wrong) + DONE, include_usage=True)
