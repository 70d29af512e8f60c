from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import orjson
import pytest
from openai.types.responses import ResponseFunctionToolCall, ResponseOutputMessage, ResponseOutputRefusal

from agent.events import (
    Event,
    HandOff,
    ReasoningDelta,
    TextDelta,
    ToolFinished,
    ToolStarted,
    TurnFailed,
    TurnFinished,
    Usage,
)
from api.http.body import validate_body
from api.responses.encode import ResponseEncoder, Save, sse, unsaved
from api.responses.response_object import ResponseInfo
from api.responses.wire import ResponseRequest
from config.errors import AllDeploymentsFailed, AnswerInterrupted, RateLimitReached, SwitchboardError, TurnSuperseded
from tests.support.response_types import valid_events, valid_response

LOOKUP = HandOff("call_2", "lookup", {"城市": "北京"})
TRANSFER = HandOff("call_1", "transferCall", {"destination": "+1234567890"})
DONE = [Usage(3, 2, cached_tokens=1), TurnFinished("stop")]


def encoder(save: Save = unsaved, **body: Any) -> ResponseEncoder:
    request = validate_body(ResponseRequest, {"input": "Hi", **body})
    info = ResponseInfo("k" * 48, 1, lambda: 5, lambda: "fast", request.echoed())
    return ResponseEncoder(info, save)


async def replay(events: list[Event]) -> AsyncGenerator[Event, None]:
    for event in events:
        yield event


async def streamed(events: list[Event], **body: Any) -> list[dict[str, Any]]:
    encoding = encoder(**body)
    try:
        together = [each async for each in encoding.stream(replay(events))]
    except SwitchboardError as error:
        raise AssertionError(error) from error
    return parsed(b"".join(map(sse, together)))


async def folded(events: list[Event], **body: Any) -> dict[str, Any]:
    whole = await encoder(**body).whole(replay(events))
    valid_response(whole)
    return whole


def parsed(sent: bytes) -> list[dict[str, Any]]:
    frames = [each.split("\n") for each in sent.decode().split("\n\n")[:-1]]
    events: list[dict[str, Any]] = [orjson.loads(data.removeprefix("data: ")) for _, data in frames]
    assert [name for name, _ in frames] == [f"event: {each['type']}" for each in events]
    return events


async def test_text_in_openais_order() -> None:
    events = await streamed([TextDelta("Hel"), TextDelta("lo"), *DONE])
    assert valid_events(events) == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert events[6]["text"] == "Hello"
    assert len({event["item_id"] for event in events[3:8]}) == 1


async def test_the_first_event_of_the_turn_brings_the_beginning_with_it() -> None:
    encoding = encoder()
    async for together in encoding.stream(replay([TextDelta("Hi"), *DONE])):
        assert [each.type for each in together][-1] == "response.output_text.delta"
        assert len(together) == 5
        break


async def test_a_call_follows_the_text_whole() -> None:
    events = await streamed([TextDelta("One moment. "), LOOKUP, TRANSFER, Usage(), TurnFinished("tool_calls")])
    valid_events(events)
    whole = valid_response(events[-1]["response"])
    message, lookup, transfer = whole.output
    assert isinstance(message, ResponseOutputMessage)
    assert isinstance(lookup, ResponseFunctionToolCall)
    assert (lookup.name, lookup.call_id, lookup.arguments) == ("lookup", "call_2", '{"城市":"北京"}')
    assert isinstance(transfer, ResponseFunctionToolCall)
    assert len({message.id, lookup.id, transfer.id}) == 3
    assert whole.status == "completed"
    of_arguments = [each for each in events if each["type"].startswith("response.function_call_arguments")]
    [delta, done] = [each for each in of_arguments if each["output_index"] == 1]
    assert delta["delta"] == done["arguments"] == lookup.arguments


async def test_the_whole_response_is_that_of_the_stream() -> None:
    turn: list[Event] = [ReasoningDelta("Hm. "), TextDelta("Hello"), LOOKUP, Usage(3, 2), TurnFinished("tool_calls")]
    assert (await streamed(turn))[-1]["response"] == await folded(turn)


async def test_thoughts_are_a_summary_before_the_message() -> None:
    events = await streamed([ReasoningDelta("One "), ReasoningDelta("two."), TextDelta("Three."), *DONE])
    kinds = valid_events(events)
    assert kinds[2:8] == [
        "response.output_item.added",
        "response.reasoning_summary_part.added",
        "response.reasoning_summary_text.delta",
        "response.reasoning_summary_text.delta",
        "response.reasoning_summary_text.done",
        "response.reasoning_summary_part.done",
    ]
    thoughts, message = events[-1]["response"]["output"]
    assert thoughts["summary"] == [{"type": "summary_text", "text": "One two."}]
    assert message["content"][0]["text"] == "Three."


async def test_a_refusal_is_a_part_of_its_own() -> None:
    events = await streamed([TextDelta("Well. "), TextDelta("I cannot.", refusal=True), *DONE])
    valid_events(events)
    [message] = valid_response(events[-1]["response"]).output
    assert isinstance(message, ResponseOutputMessage)
    said, refused = message.content
    assert isinstance(refused, ResponseOutputRefusal)
    assert refused.refusal == "I cannot."
    assert said.type == "output_text"


@pytest.mark.parametrize(("reason", "words"), [("length", "max_output_tokens"), ("content_filter", "content_filter")])
async def test_a_cut_answer_is_incomplete(reason: Any, words: str) -> None:
    events = await streamed([TextDelta("Hel"), Usage(), TurnFinished(reason)])
    assert valid_events(events)[-1] == "response.incomplete"
    whole = events[-1]["response"]
    assert whole["incomplete_details"] == {"reason": words}
    assert whole["output"][0]["status"] == "incomplete"
    assert whole["completed_at"] is None


async def test_the_agents_own_tools_never_show() -> None:
    tools: list[Event] = [ToolStarted("c", "multiply", {}), ToolFinished("c", "multiply", "42", True)]
    assert (await streamed([*tools, TextDelta("42"), *DONE]))[2:] == (await streamed([TextDelta("42"), *DONE]))[2:]


async def test_usage_has_openais_details() -> None:
    usage = (await folded([TextDelta("Hi"), Usage(3, 2, 1, 1), TurnFinished("stop")]))["usage"]
    assert usage == {
        "input_tokens": 3,
        "input_tokens_details": {"cached_tokens": 1, "cache_write_tokens": 0},
        "output_tokens": 2,
        "output_tokens_details": {"reasoning_tokens": 1},
        "total_tokens": 5,
    }


async def test_a_turn_that_fails_before_its_first_event_raises() -> None:
    failure = AllDeploymentsFailed("No provider could answer.")
    with pytest.raises(AllDeploymentsFailed):
        [each async for each in encoder().stream(replay([TurnFailed(failure)]))]
    with pytest.raises(AllDeploymentsFailed):
        await encoder().whole(replay([TextDelta("Hi"), TurnFailed(failure)]))


@pytest.mark.parametrize("said", [[TextDelta("Hel")], []])
async def test_a_failure_after_the_start_is_an_event(said: list[Event]) -> None:
    encoding, sent = encoder(), b""
    with pytest.raises(AnswerInterrupted):
        async for each in encoding.stream(replay([*said, TurnFailed(AnswerInterrupted("It broke off."))])):
            sent += sse(each)
    events = parsed(sent + sse(encoding.failed(AnswerInterrupted("It broke off."))))
    assert valid_events(events)[-1] == "response.failed"
    whole = valid_response(events[-1]["response"])
    assert whole.error is not None
    assert (whole.error.code, whole.error.message) == ("server_error", "It broke off.")


def test_the_code_of_a_rate_limit_is_openais() -> None:
    [*_, last] = encoder().failed(RateLimitReached("Later."))
    assert orjson.loads(last.json)["response"]["error"]["code"] == "rate_limit_exceeded"


async def test_a_superseded_turn_ends_as_a_finished_response() -> None:
    superseded = TurnFailed(TurnSuperseded("Newer."))
    events = await streamed([TextDelta("Hel"), superseded])
    assert valid_events(events)[-1] == "response.completed"
    for turn in ([superseded], [TextDelta("Hel"), superseded]):
        whole = valid_response(await folded(turn))  # type: ignore[arg-type]
        assert (whole.status, whole.output_text, len(whole.output)) == ("completed", "", 1)


@pytest.mark.parametrize("could", [True, False])
async def test_a_response_is_stored_before_its_end_and_says_whether_it_is(could: bool) -> None:
    stored: list[dict[str, Any]] = []

    async def save(response: dict[str, Any]) -> bool:
        stored.append(response)
        return could

    async for together in encoder(save).stream(replay([TextDelta("Hi"), *DONE])):
        for each in together:
            if each.type == "response.completed":
                assert orjson.loads(each.json)["response"] == {**stored[0], "store": could}
    assert [each["store"] for each in stored] == [True]
    assert (await encoder(save).whole(replay([TextDelta("Hi"), *DONE])))["store"] is could
    assert len(stored) == 2


async def test_a_superseded_or_failed_turn_is_not_stored() -> None:
    async def save(response: dict[str, Any]) -> bool:
        raise AssertionError(response)

    superseded: list[Event] = [TextDelta("Hel"), TurnFailed(TurnSuperseded("Newer."))]
    assert (await encoder(save).whole(replay(superseded)))["store"] is False
    [*_, last] = [each async for together in encoder(save).stream(replay(superseded)) for each in together]
    assert orjson.loads(last.json)["response"]["store"] is False
    [*_, failed] = encoder(save).failed(AnswerInterrupted("It broke off."))
    assert orjson.loads(failed.json)["response"]["store"] is False


async def test_the_response_repeats_its_request() -> None:
    shape = {"type": "json_schema", "name": "city", "schema": {"type": "object"}, "strict": True}
    tool = {"type": "function", "name": "lookup", "parameters": {"type": "object"}}
    whole = await folded(
        [TextDelta("Hi"), *DONE],
        instructions="Be kind.",
        text={"format": shape, "verbosity": "low"},
        tools=[tool],
        tool_choice={"type": "function", "name": "lookup"},
        reasoning={"effort": "low"},
        metadata={"room": "7"},
        max_output_tokens=50,
        temperature=0.5,
        parallel_tool_calls=False,
    )
    assert (whole["instructions"], whole["metadata"], whole["max_output_tokens"]) == ("Be kind.", {"room": "7"}, 50)
    assert whole["text"] == {"format": shape, "verbosity": "low"}
    assert (whole["tools"][0]["name"], whole["tool_choice"]) == ("lookup", {"type": "function", "name": "lookup"})
    assert (whole["temperature"], whole["parallel_tool_calls"], whole["reasoning"]["effort"]) == (0.5, False, "low")
    assert (whole["created_at"], whole["completed_at"], whole["model"]) == (1, 5, "fast")
