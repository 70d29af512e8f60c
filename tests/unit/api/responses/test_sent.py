"""What is known of a response from its events, for whoever goes on with it."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import orjson
import pytest

from agent.events import Event, HandOff, ReasoningDelta, TextDelta, TurnFinished, Usage
from api.responses.encode import ResponseEncoder, ResponseEvent, sse
from api.responses.response_object import ResponseInfo
from api.responses.sent import NOTHING, Sent, sent_by

BEFORE: list[Event] = [ReasoningDelta("Hm"), TextDelta("One "), TextDelta("two"), TextDelta("I cannot", refusal=True)]
AFTER: list[Event] = [HandOff("call_1", "lookup", {}), Usage(1, 2), TurnFinished("tool_calls")]


def encoder(earlier: Sent = NOTHING) -> ResponseEncoder:
    echoed = {"background": True}
    return ResponseEncoder(ResponseInfo("k", 0, lambda: 0, lambda: "fake", echoed), earlier=earlier)


async def frames(events: list[Event], by: ResponseEncoder) -> list[str]:
    async def turn() -> AsyncGenerator[Event, None]:
        for each in events:
            yield each

    return [frame async for together in by.stream(turn()) for frame in framed(together)]


def framed(events: list[ResponseEvent]) -> list[str]:
    return [sse([each]).decode() for each in events]


@pytest.mark.parametrize("count", range(len(BEFORE) + len(AFTER)))
async def test_another_encoder_goes_on_where_one_was_interrupted(count: int) -> None:
    """It closes the item as the first encoder would have, and counts on."""
    first = encoder()
    sent = await frames([*BEFORE, *AFTER][:count], first)
    closed = framed(first.in_progress())
    other = encoder(sent_by(sent))
    assert framed(other.in_progress()) == closed
    whole = [*sent, *closed, *await frames(AFTER, other)]
    events = [orjson.loads(each.partition("data: ")[2]) for each in whole]
    assert [each["sequence_number"] for each in events] == list(range(len(events)))
    done = [each for each in events if each["type"] == "response.output_item.done"]
    assert [each["output_index"] for each in done] == list(range(len(done)))
    assert len({each["item"]["id"] for each in done}) == len(done)
    assert events[-1]["response"]["output"] == [done[-1]["item"]]
    assert sent_by(whole) == Sent(len(whole), len(done))


async def test_text_that_was_left_out_is_counted() -> None:
    sent = await frames(BEFORE[1:3], encoder())
    kept = ["" if '"delta":"two"' in each else each for each in sent]
    assert kept != sent
    left = sent_by(kept)
    assert left.events == len(sent)
    assert left.open is not None and left.open.part is not None and left.open.part.texts == ["One "]
