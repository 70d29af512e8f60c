from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.events import Event, Filler, HandOff, TextDelta, ToolFinished, ToolStarted, TurnFailed, TurnFinished, Usage
from api.openai.encode import CompletionInfo, chunks, completion, error_event
from config.errors import AllDeploymentsFailed, DeadlineExceeded, TurnSuperseded

TRANSFER = HandOff("call_1", "transferCall", {"destination": "+1234567890"})
LOOKUP = HandOff("call_2", "lookup", {"城市": "北京"})


def head(**changes: Any) -> CompletionInfo:
    return CompletionInfo(
        **{"id": "chatcmpl-1", "created": 1, "model": lambda: "fast", "include_usage": True, **changes}
    )


async def replay(events: list[Event]) -> AsyncGenerator[Event, None]:
    for event in events:
        yield event


async def streamed(events: list[Event], **changes: Any) -> list[dict[str, Any]]:
    lines = b"".join([part async for part in chunks(replay(events), head(**changes))]).decode().split("\n\n")
    assert lines[-2:] == ["data: [DONE]", ""]
    return [orjson.loads(line.removeprefix("data: ")) for line in lines[:-2]]


async def folded(events: list[Event], **changes: Any) -> dict[str, Any]:
    return await completion(replay(events), head(**changes))


async def test_every_line_is_a_complete_chunk_and_the_first_has_the_role() -> None:
    sent = await streamed([TextDelta("Hel"), TextDelta("lo"), Usage(3, 2), TurnFinished("stop")])
    for chunk in sent:
        assert (chunk["id"], chunk["object"], chunk["created"], chunk["model"]) == (
            "chatcmpl-1", "chat.completion.chunk", 1, "fast",
        )  # fmt: skip
        assert isinstance(chunk["choices"], list)
    assert sent[0]["choices"][0]["delta"] == {"role": "assistant", "content": "Hel"}
    assert sent[1]["choices"][0]["delta"] == {"content": "lo"}
    assert [choice["finish_reason"] for chunk in sent for choice in chunk["choices"]] == [None, None, "stop"]
    assert sent[-1]["choices"] == []
    assert sent[-1]["usage"] == {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


async def test_a_filler_is_spoken_in_a_stream_and_left_out_of_a_whole_answer() -> None:
    events: list[Event] = [
        TextDelta("Sure."),
        ToolStarted("call_1", "lookup", {}),
        Filler(" One moment. ", "call_1"),
        ToolFinished("call_1", "lookup", "sunny", True),
        TextDelta("It is sunny."),
        TurnFinished("stop"),
    ]
    deltas = [choice["delta"] for chunk in await streamed(events) for choice in chunk["choices"]]
    assert [each.get("content") for each in deltas] == ["Sure.", " One moment. ", "It is sunny.", None]
    (only,) = (await streamed([events[2], events[-1]]))[0]["choices"]
    assert only["delta"] == {"role": "assistant", "content": " One moment. "}
    assert (await folded(events))["choices"][0]["message"]["content"] == "Sure.It is sunny."


async def test_a_superseded_turn_ends_as_an_empty_finished_answer() -> None:
    superseded = TurnFailed(TurnSuperseded("Newer."))
    [only, _] = await streamed([superseded])
    assert only["choices"][0]["finish_reason"] == "stop"
    cut = await streamed([TextDelta("Hel"), superseded])
    assert cut[1]["choices"][0]["finish_reason"] == "stop"
    [choice] = (await folded([TextDelta("Hel"), superseded]))["choices"]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("", "stop")


async def test_legacy_functions_are_answered_in_their_own_form() -> None:
    events = [LOOKUP, TRANSFER, Usage(), TurnFinished("tool_calls")]
    function = {"name": "lookup", "arguments": '{"城市":"北京"}'}
    [choice] = (await folded(events, legacy_functions=True))["choices"]
    assert (choice["message"]["function_call"], choice["finish_reason"]) == (function, "function_call")
    assert "tool_calls" not in choice["message"]
    called, ended, _ = await streamed(events, legacy_functions=True)
    assert called["choices"][0]["delta"] == {"role": "assistant", "content": None, "function_call": function}
    assert ended["choices"][0]["finish_reason"] == "function_call"


async def test_usage_is_sent_only_on_demand() -> None:
    sent = await streamed([TextDelta("Hi"), Usage(3, 2), TurnFinished("stop")], include_usage=False)
    assert all("usage" not in chunk for chunk in sent)


async def test_the_wire_form_of_a_transfer() -> None:
    sent = await streamed([TextDelta("Connecting you now. "), TRANSFER, Usage(), TurnFinished("tool_calls")])
    arguments = '{"destination":"+1234567890"}'
    function = {"name": "transferCall", "arguments": arguments}
    assert sent[1]["choices"] == [
        {
            "index": 0,
            "delta": {"tool_calls": [{"index": 0, "id": "call_1", "type": "function", "function": function}]},
            "finish_reason": None,
        }
    ]
    assert sent[1]["function_call"] == {"name": "transferCall", "arguments": {"destination": "+1234567890"}}
    assert sent[2]["choices"][0] == {"index": 0, "delta": {}, "finish_reason": "tool_calls"}


async def test_the_legacy_object_can_be_switched_off_and_is_not_for_other_tools() -> None:
    events: list[Event] = [TRANSFER, LOOKUP, Usage(), TurnFinished("tool_calls")]
    assert all("function_call" not in chunk for chunk in await streamed(events, function_call=False))
    assert ["function_call" in chunk for chunk in await streamed(events)] == [True, False, False, False]
    assert "function_call" not in await folded(events, function_call=False)


async def test_calls_come_one_a_chunk_numbered_and_without_text() -> None:
    sent = await streamed([TRANSFER, LOOKUP, Usage(), TurnFinished("tool_calls")])
    assert sent[0]["choices"][0]["delta"]["role"] == "assistant"
    deltas = [chunk["choices"][0]["delta"] for chunk in sent[:2]]
    assert [[call["index"] for call in delta["tool_calls"]] for delta in deltas] == [[0], [1]]
    assert not any(delta.get("content") for delta in deltas)
    assert orjson.loads(deltas[1]["tool_calls"][0]["function"]["arguments"]) == {"城市": "北京"}


async def test_the_agents_own_tools_never_show() -> None:
    tools: list[Event] = [ToolStarted("c", "multiply", {}), ToolFinished("c", "multiply", "42", True)]
    plain: list[Event] = [TextDelta("42"), Usage(1, 1), TurnFinished("stop")]
    assert await streamed([*tools, *plain]) == await streamed(plain)
    assert await folded([*tools, *plain]) == await folded(plain)


async def test_a_failed_turn_raises_so_that_the_edge_can_choose_status_or_line() -> None:
    error = AllDeploymentsFailed("No provider could answer.")
    stream = chunks(replay([TextDelta("Hel"), TurnFailed(error)]), head())
    await anext(stream)
    with pytest.raises(AllDeploymentsFailed):
        await anext(stream)
    with pytest.raises(AllDeploymentsFailed):
        await folded([TextDelta("Hel"), TurnFailed(error)])


async def test_whoever_stops_reading_the_chunks_closes_the_turn() -> None:
    closed: list[bool] = []

    async def turn() -> AsyncGenerator[Event, None]:
        try:
            yield TextDelta("Hel")
            yield TurnFailed(DeadlineExceeded("Too late."))
        finally:
            closed.append(True)

    events = turn()
    stream = chunks(events, head())
    await anext(stream)
    await stream.aclose()
    assert closed == [True]
    failing = turn()
    with pytest.raises(DeadlineExceeded):
        [part async for part in chunks(failing, head())]
    assert closed == [True, True]


def test_an_error_in_the_stream_is_one_line_and_the_end() -> None:
    line, done, rest = error_event(DeadlineExceeded("Too late.")).split(b"\n\n")
    assert orjson.loads(line.removeprefix(b"data: "))["error"] == {
        "message": "Too late.", "type": "server_error", "param": None, "code": "deadline_exceeded",
    }  # fmt: skip
    assert (done, rest) == (b"data: [DONE]", b"")


@given(
    texts=st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), max_size=6),
    calls=st.lists(st.sampled_from([TRANSFER, LOOKUP]), max_size=2, unique_by=lambda call: call.call_id),
)
async def test_the_non_streamed_answer_is_the_fold_of_the_streamed_one(texts: list[str], calls: list[HandOff]) -> None:
    reason = "tool_calls" if calls else "stop"
    events: list[Event] = [*map(TextDelta, texts), *calls, Usage(3, 2), TurnFinished(reason)]  # type: ignore[arg-type]
    whole, sent = await folded(events), await streamed(events)
    deltas = [choice["delta"] for chunk in sent for choice in chunk["choices"]]
    message = whole["choices"][0]["message"]
    assert "".join(delta.get("content") or "" for delta in deltas) == (message["content"] or "")
    named = [{**call, "index": None} for delta in deltas for call in delta.get("tool_calls", [])]
    assert named == [{**call, "index": None} for call in message.get("tool_calls", [])]
    assert whole["usage"] == sent[-1]["usage"]
    assert whole["choices"][0]["finish_reason"] == sent[-2]["choices"][0]["finish_reason"]
