from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import orjson
import pytest

from agent.events import Event, HandOff, ReasoningDelta, TextDelta, ToolStarted, TurnFailed, TurnFinished, Usage
from api.messages.encode import MessageEncoder, MessageInfo, error_event
from config.errors import AnswerInterrupted, ContextWindowExceeded, DeadlineExceeded, SwitchboardError, TurnSuperseded

COUNTED = Usage(10, 5, cached_tokens=4, reasoning_tokens=2)
CALL = HandOff("call_1", "transferCall", {"destination": "+1"})


def encoder(*, shows_thinking: bool = True) -> MessageEncoder:
    return MessageEncoder(MessageInfo("msg_1", lambda: "main", input_tokens=7, shows_thinking=shows_thinking))


async def turn(*events: Event) -> AsyncGenerator[Event, None]:
    for event in events:
        yield event


def decoded(frames: bytes) -> list[dict[str, Any]]:
    """The events, each of which says its type twice."""
    found = []
    for frame in frames.decode().removesuffix("\n\n").split("\n\n"):
        name, data = frame.split("\n")
        event = orjson.loads(data.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        found.append(event)
    return found


async def streamed(*events: Event, shows_thinking: bool = True) -> list[dict[str, Any]]:
    each = [frame async for frame in encoder(shows_thinking=shows_thinking).sse(turn(*events))]
    return decoded(b"".join(each))


async def whole(*events: Event) -> dict[str, Any]:
    return await encoder().whole(turn(*events))


async def test_a_text() -> None:
    assert await streamed(TextDelta("Hel"), TextDelta("lo."), COUNTED, TurnFinished("stop")) == [
        {
            "type": "message_start",
            "message": {
                "id": "msg_1",
                "type": "message",
                "role": "assistant",
                "model": "main",
                "content": [],
                "stop_reason": None,
                "stop_sequence": None,
                "usage": {"input_tokens": 7, "output_tokens": 0},
            },
        },
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hel"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "lo."}},
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {
                "input_tokens": 6,
                "cache_read_input_tokens": 4,
                "output_tokens": 5,
                "output_tokens_details": {"thinking_tokens": 2},
            },
        },
        {"type": "message_stop"},
    ]


async def test_a_call_is_one_whole_block_after_the_text() -> None:
    events = await streamed(TextDelta("Connecting."), CALL, CALL, COUNTED, TurnFinished("tool_calls"))
    blocks = events[3:-2]
    assert [(each["type"], each["index"]) for each in blocks] == [
        ("content_block_stop", 0),
        ("content_block_start", 1),
        ("content_block_delta", 1),
        ("content_block_stop", 1),
        ("content_block_start", 2),
        ("content_block_delta", 2),
        ("content_block_stop", 2),
    ]
    assert blocks[1]["content_block"] == {"type": "tool_use", "id": "call_1", "name": "transferCall", "input": {}}
    assert blocks[2]["delta"] == {"type": "input_json_delta", "partial_json": '{"destination":"+1"}'}
    assert events[-2]["delta"]["stop_reason"] == "tool_use"


async def test_thoughts_are_a_block_of_their_own() -> None:
    events = await streamed(ReasoningDelta("H"), ReasoningDelta("m."), TextDelta("Yes."), TurnFinished("stop"))
    assert [each["delta"] for each in events if each["type"] == "content_block_delta"] == [
        {"type": "thinking_delta", "thinking": "H"},
        {"type": "thinking_delta", "thinking": "m."},
        {"type": "text_delta", "text": "Yes."},
    ]
    assert [each["index"] for each in events if each["type"] == "content_block_start"] == [0, 1]


async def test_a_caller_that_did_not_ask_gets_no_thoughts() -> None:
    events = await streamed(ReasoningDelta("Hm."), TextDelta("Yes."), TurnFinished("stop"), shows_thinking=False)
    assert [each["content_block"]["type"] for each in events if each["type"] == "content_block_start"] == ["text"]


async def test_the_agents_own_tools_are_not_seen() -> None:
    assert await streamed(ToolStarted("c", "multiply", {}), TextDelta("42"), TurnFinished("stop")) == await streamed(
        TextDelta("42"), TurnFinished("stop")
    )


@pytest.mark.parametrize(
    ("reason", "said"), [("stop", "end_turn"), ("length", "max_tokens"), ("content_filter", "refusal")]
)
async def test_the_reason_for_the_end(reason: Any, said: str) -> None:
    assert (await whole(TextDelta("Yes"), TurnFinished(reason)))["stop_reason"] == said


async def test_a_refusal_is_text_and_says_so() -> None:
    message = await whole(TextDelta("I will not.", refusal=True), TurnFinished("stop"))
    assert (message["content"][0]["text"], message["stop_reason"]) == ("I will not.", "refusal")


async def test_the_whole_is_the_fold_of_the_stream() -> None:
    said = (ReasoningDelta("Hm."), TextDelta("Con"), TextDelta("necting."), CALL, COUNTED, TurnFinished("tool_calls"))
    message = await whole(*said)
    start, end = (await streamed(*said))[0]["message"], (await streamed(*said))[-2]
    content = [
        {"type": "thinking", "thinking": "Hm.", "signature": ""},
        {"type": "text", "text": "Connecting."},
        {"type": "tool_use", "id": "call_1", "name": "transferCall", "input": {"destination": "+1"}},
    ]
    assert message == {**start, **end["delta"], "content": content, "usage": end["usage"]}


async def test_a_message_without_a_word_is_a_message() -> None:
    assert (await whole(Usage(), TurnFinished("stop")))["content"] == []


async def test_a_superseded_turn_ends_as_a_finished_one() -> None:
    superseded = TurnFailed(TurnSuperseded("A newer request."))
    assert (await streamed(TextDelta("Hel"), superseded))[-2]["delta"]["stop_reason"] == "end_turn"
    message = await whole(TextDelta("Hel"), superseded)
    assert (message["content"], message["stop_reason"]) == ([], "end_turn")


async def test_a_failure_is_raised() -> None:
    with pytest.raises(AnswerInterrupted):
        await streamed(TextDelta("Hel"), TurnFailed(AnswerInterrupted("It broke off.")))
    with pytest.raises(AnswerInterrupted):
        await whole(TextDelta("Hel"), TurnFailed(AnswerInterrupted("It broke off.")))


async def test_the_message_starts_before_the_first_ping_and_once() -> None:
    encoding = encoder()
    assert [each["type"] for each in decoded(encoding.ping())] == ["message_start", "ping"]
    assert [each["type"] for each in decoded(encoding.ping())] == ["ping"]
    assert [each["type"] for each in encoding.encode(TextDelta("Hi"))] == ["content_block_start", "content_block_delta"]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (AnswerInterrupted("It broke off."), "api_error"),
        (DeadlineExceeded("Too late."), "timeout_error"),
        (ContextWindowExceeded(), "invalid_request_error"),
    ],
)
def test_an_error_in_the_stream(error: SwitchboardError, kind: str) -> None:
    (event,) = decoded(error_event(error))
    assert event["error"]["type"] == kind
    assert str(error) in event["error"]["message"]
