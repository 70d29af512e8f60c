"""What the lane makes of each provider's answers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import httpx
import pytest
import respx

from config.errors import BadAnswer, ContentPolicyViolation
from router.lanes.base import Lane
from tests.contract.litellm_providers.providers import STREAMS, WHOLES
from tests.contract.litellm_providers.wire import (
    Body,
    Stream,
    Whole,
    Wire,
    asked,
    calls,
    fragments,
    heard,
    joined,
    judged,
    reasons,
    usage,
)

streamed = pytest.mark.parametrize(("wire", "stream"), STREAMS)
whole = pytest.mark.parametrize(("wire", "answer"), WHOLES)


def with_finishes(wires: Iterable[Any], marks: dict[str, pytest.MarkDecorator] | None = None) -> list[Any]:
    """Each with each finish reason that it knows."""
    table = []
    for param in wires:
        wire, answers = param.values
        for theirs, ours in answers.finishes.items():
            id = f"{wire.name} {theirs}"
            table.append(pytest.param(wire, answers, theirs, ours, id=id, marks=(marks or {}).get(id, ())))
    return table


UNTOLD = pytest.mark.xfail(reason="LiteLLM reads no finish reason: https://github.com/BerriAI/litellm/pull/33320")
LOST = pytest.mark.xfail(reason="LiteLLM hands on the first call of a whole answer alone")


@streamed
async def test_text_comes_as_it_is_said_and_the_usage_last(
    wire: Wire, stream: Stream, lane: Lane, provider: respx.MockRouter
) -> None:
    provider.route().mock(return_value=stream.answer(stream.said("Hello ", "there.")))
    chunks = await heard(lane, wire.deployment)
    assert [joined([chunk]) for chunk in chunks] == ["Hello ", "there.", "", ""]
    assert reasons(chunks) == ["stop"]
    assert usage(chunks) == (11, 4)
    assert all(type(chunk) is dict and chunk["object"] == "chat.completion.chunk" for chunk in chunks)


@whole
async def test_a_whole_answer_is_text_and_usage_too(
    wire: Wire, answer: Whole, lane: Lane, provider: respx.MockRouter
) -> None:
    provider.route().respond(json=dict(answer.text("Hello there.", next(iter(answer.finishes)))))
    chunks = await heard(lane, answer.deployment)
    assert [joined([chunk]) for chunk in chunks] == ["Hello there.", "", ""]
    assert reasons(chunks) == ["stop"]
    assert usage(chunks) == (11, 4)


@streamed
async def test_a_stream_may_be_cut_into_packets_anywhere(
    wire: Wire, stream: Stream, lane: Lane, provider: respx.MockRouter
) -> None:
    body = b"".join(stream.said("Grüße ", "你好"))
    provider.route().mock(return_value=stream.answer([body[at : at + 7] for at in range(0, len(body), 7)]))
    assert joined(await heard(lane, wire.deployment)) == "Grüße 你好"


@pytest.mark.parametrize(("wire", "stream", "theirs", "ours"), with_finishes(STREAMS))
async def test_finish_reasons_are_openais(
    wire: Wire, stream: Stream, theirs: str, ours: str, lane: Lane, provider: respx.MockRouter
) -> None:
    provider.route().mock(return_value=stream.answer(stream.said("Hello", finish=theirs)))
    assert reasons(await heard(lane, wire.deployment)) == [ours]


@pytest.mark.parametrize(("wire", "answer", "theirs", "ours"), with_finishes(WHOLES, {"cohere MAX_TOKENS": UNTOLD}))
async def test_finish_reasons_of_whole_answers_are_openais(
    wire: Wire, answer: Whole, theirs: str, ours: str, lane: Lane, provider: respx.MockRouter
) -> None:
    provider.route().respond(json=dict(answer.text("Hello", theirs)))
    assert reasons(await heard(lane, answer.deployment)) == [ours]


@streamed
async def test_tool_calls_keep_all_their_keys_and_stay_apart(
    wire: Wire, stream: Stream, lane: Lane, provider: respx.MockRouter
) -> None:
    provider.route().mock(return_value=stream.answer(stream.calls))
    chunks = await heard(lane, wire.deployment)
    assert all(
        each.keys() == {"index", "id", "type", "function"} and each["function"].keys() == {"name", "arguments"}
        for each in fragments(chunks)
    )
    assert calls(chunks) == [("weather", {"city": "Oslo"}), ("clock", {})]
    assert reasons(chunks) == ["tool_calls"]
    assert usage(chunks) == (11, 4)


@pytest.mark.parametrize(
    ("wire", "answer"),
    [
        pytest.param(*param.values, id=param.id, marks=[LOST] if param.id == "azure" else [])
        for param in WHOLES
        if param.values[1].calls
    ],
)
async def test_whole_tool_calls_are_calls_too(
    wire: Wire, answer: Whole, lane: Lane, provider: respx.MockRouter
) -> None:
    assert answer.calls is not None
    provider.route().respond(json=dict(answer.calls))
    chunks = await heard(lane, answer.deployment)
    assert calls(chunks) == [("weather", {"city": "Oslo"}), ("clock", {})]
    assert joined(chunks) == ""


@pytest.mark.parametrize(("wire", "stream"), [each for each in STREAMS if each.values[1].thoughts])
async def test_thoughts_stay_apart_from_text(
    wire: Wire, stream: Stream, lane: Lane, provider: respx.MockRouter
) -> None:
    provider.route().mock(return_value=stream.answer(stream.thoughts))
    chunks = await heard(lane, wire.deployment)
    assert (joined(chunks, "reasoning_content"), joined(chunks)) == ("Hm.", "Yes.")


@streamed
async def test_an_empty_answer_is_none(wire: Wire, stream: Stream, lane: Lane, provider: respx.MockRouter) -> None:
    provider.route().mock(return_value=stream.answer(stream.empty))
    chunks = await heard(lane, wire.deployment)
    with pytest.raises(BadAnswer):
        judged(chunks)


@whole
async def test_an_empty_whole_answer_is_none(wire: Wire, answer: Whole, lane: Lane, provider: respx.MockRouter) -> None:
    provider.route().respond(json=dict(answer.empty))
    chunks = await heard(lane, answer.deployment)
    with pytest.raises(BadAnswer):
        judged(chunks)


@pytest.mark.parametrize(("wire", "stream"), [each for each in STREAMS if each.values[1].withheld])
async def test_an_answer_that_a_filter_withheld_is_refused_content(
    wire: Wire, stream: Stream, lane: Lane, provider: respx.MockRouter
) -> None:
    provider.route().mock(return_value=stream.answer(stream.withheld))
    chunks = await heard(lane, wire.deployment)
    with pytest.raises(ContentPolicyViolation):
        judged(chunks)


@streamed
async def test_hanging_up_closes_the_providers_connection(
    wire: Wire, stream: Stream, lane: Lane, provider: respx.MockRouter
) -> None:
    body = Body([*stream.start, stream.text("Hello ")], stalls=True)
    provider.route().mock(return_value=httpx.Response(200, stream=body, headers={"content-type": stream.content_type}))
    chunks = asked(lane, wire.deployment)
    assert joined([await anext(chunks)]) == "Hello "
    assert not body.closed.is_set()
    await chunks.aclose()
    async with asyncio.timeout(5):
        await body.closed.wait()
