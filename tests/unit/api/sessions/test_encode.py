from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from langchain_core.messages import AIMessage, AnyMessage

from agent.events import (
    HandOff,
    ReviewRequested,
    TextDelta,
    ToolFinished,
    ToolStarted,
    TurnFailed,
    TurnFinished,
    Usage,
)
from agent.message_fields import all_fields
from agent.sessions.events import SessionEnded, SessionEvent, SessionOpened
from agent.sessions.record import SessionRecord
from agent.sessions.turn_response import TurnResponse
from agent.tools.review import review_question
from api.http.errors import error_object
from api.sessions import encode
from config.errors import AllDeploymentsFailed, SessionBusy, SwitchboardError, TurnCancelled

NOW = datetime(2026, 1, 2, 3, 4, 5, 678_900, tzinfo=UTC)
ENDED = 1767323045.5
FAILED = {"status": "error", "message": "Nobody answers.", "error_code": "all_deployments_failed"}
BOOK = review_question("book_hotel", {"hotel_name": "Ritz"}, "c1", "Book a room.")
ADD = review_question("multiply", {"a": 1}, "c2", "")
WAITING = ({"interrupt_id": "1", **BOOK}, {"interrupt_id": "2", **ADD})


def record(**fields: Any) -> SessionRecord:
    known: dict[str, Any] = {
        "user_id": "ann",
        "session_id": "s",
        "thread_id": "t",
        "status": "completed",
        "message": "",
        "last_query": "Hi",
        "last_response": TurnResponse("completed", ENDED, messages=all_fields([AIMessage("Hello.", id="m")])),
        "model": None,
        "system_message": None,
        "interrupts": (),
        "summary": None,
        "created": NOW,
        "updated": NOW,
        "expires_at": None,
    }
    return SessionRecord(**{**known, **fields})


def ended(
    messages: Sequence[AnyMessage] = (),
    usage: Usage = Usage(),  # noqa: B008
    response: dict[str, Any] | None = None,
    **fields: Any,
) -> SessionEnded:
    last = TurnResponse("completed", ENDED, messages=all_fields(messages), usage=usage)
    return SessionEnded(record(last_response=replace(last, **(response or {})), **fields))


class Events:
    """Plays events, and raises the last one if it is an error; `closed` says that it was read or closed."""

    def __init__(self, *events: SessionEvent | SwitchboardError) -> None:
        self._events = events
        self.closed = False

    async def __call__(self) -> AsyncGenerator[SessionEvent, None]:
        try:
            for event in self._events:
                if isinstance(event, SwitchboardError):
                    raise event
                yield event
        finally:
            self.closed = True


async def lines(*events: SessionEvent | SwitchboardError) -> list[dict[str, Any]]:
    """The stream's events without what all of them have, which is checked."""
    read = []
    async for line in encode.SseEncoder("given").sse(Events(*events)()):
        assert line.startswith(b"data: ") and line.endswith(b"\n\n") and line.count(b"\n") == 2
        event = orjson.loads(line[6:])
        assert event.pop("session_id") == "s"
        assert abs(event.pop("timestamp") - time.time()) < 60
        read.append(event)
    return read


async def test_text_and_calls_come_as_they_happen_and_then_the_whole() -> None:
    events: list[SessionEvent] = [
        SessionOpened("s"),
        TextDelta("One\nmoment."),
        ToolStarted("c1", "multiply", {"a": 6}),
        ToolFinished("c1", "multiply", "42", True),
        HandOff("c2", "transferCall", {"destination": "+1"}),
        Usage(3, 2),
        TurnFinished("tool_calls"),
        ended([AIMessage("One\nmoment.", id="m")], Usage(3, 2, cost=0.5)),
    ]
    *before, last = await lines(*events)
    assert before == [
        {"type": "text_chunk", "content": "One\nmoment."},
        {
            "type": "tool_call",
            "data": {"tool_calls": [{"id": "c1", "name": "multiply", "args": {"a": 6}, "type": "tool_call"}]},
        },
        {
            "type": "tool_call",
            "data": {
                "tool_calls": [{"id": "c2", "name": "transferCall", "args": {"destination": "+1"}, "type": "tool_call"}]
            },
        },
    ]
    whole = await encode.outcome(Events(*events)())
    assert last["type"] == "completed"
    assert last["data"] == orjson.loads(orjson.dumps(whole))
    [message] = whole["result"]["messages"]
    assert (message["id"], message["role"], message["type"], message["content"]) == (
        *("m", "assistant", "ai", "One\nmoment."),
    )
    assert whole["result"]["usage"] == {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5, "total_cost": 0.5}
    assert (whole["timestamp"], whole["message"]) == (ENDED, "")


async def test_what_waits_is_told_at_the_end_all_of_it() -> None:
    reviews = ReviewRequested("1", BOOK), ReviewRequested("2", ADD)
    over = ended(status="interrupted", interrupts=WAITING, response={"status": "interrupted", "interrupts": WAITING})
    events = (SessionOpened("s"), *reviews, Usage(), TurnFinished("interrupted"), over)
    assert await lines(*events) == [
        {"type": "interrupt", "interrupt_data": WAITING[0], "interrupts": list(WAITING)},
    ]
    whole = await encode.outcome(Events(*events)())
    assert (whole["status"], whole["message"]) == ("interrupted", "")
    assert (whole["interrupt_data"], whole["interrupts"]) == (WAITING[0], list(WAITING))


async def test_a_failure_is_the_last_event_and_comes_once_it_is_stored() -> None:
    failed = TurnFailed(AllDeploymentsFailed("Nobody answers."))
    opened, over = SessionOpened("s"), ended(response=FAILED)
    assert await lines(opened, TextDelta("Hel"), failed, over) == [
        {"type": "text_chunk", "content": "Hel"},
        {"type": "error", "error_message": "Nobody answers.", "code": "all_deployments_failed"},
    ]
    assert await lines(opened, failed) == []
    whole = await encode.outcome(Events(opened, failed, over)())
    assert (whole["status"], whole["message"]) == ("error", "Nobody answers.")
    assert whole["error"] == {
        "message": "Nobody answers.",
        "type": "server_error",
        "param": None,
        "code": "all_deployments_failed",
    }


async def test_a_turn_that_was_cancelled_failed_for_who_waited_for_it() -> None:
    cancelled = {"status": "error", "message": "Cancelled.", "error_code": "cancelled"}
    over = ended(status="idle", message="Cancelled.", response=cancelled)
    whole = await encode.outcome(Events(SessionOpened("s"), TurnFailed(TurnCancelled("Cancelled.")), over)())
    assert (whole["status"], whole["message"]) == ("error", "Cancelled.")
    assert whole["error"] == error_object(TurnCancelled("Cancelled."))["error"]


@pytest.mark.parametrize("read", [encode.outcome, lambda events: anext(encode.SseEncoder("s").sse(events))])
async def test_what_keeps_a_turn_from_beginning_is_raised(read: Any) -> None:
    events = Events(SessionBusy("Busy.", retry_after=3))
    with pytest.raises(SessionBusy):
        await read(events())
    assert events.closed


async def test_who_stops_reading_ends_the_turn() -> None:
    events = Events(SessionOpened("s"), TextDelta("a"), TextDelta("b"))
    stream = encode.SseEncoder("s").sse(events())
    await anext(stream)
    await stream.aclose()
    assert events.closed


@pytest.mark.parametrize(("opened", "session_id"), [(False, "given"), (True, "s")])
async def test_an_error_that_is_raised_names_the_session_too(opened: bool, session_id: str) -> None:
    encoder = encode.SseEncoder("given")
    with pytest.raises(SessionBusy) as raised:
        async for _ in encoder.sse(Events(*[SessionOpened("s")] * opened, SessionBusy("Busy.", retry_after=3))()):
            pass
    assert orjson.loads(encoder.error_line(raised.value)[6:])["session_id"] == session_id


def test_the_status_of_a_session() -> None:
    assert encode.status(record(interrupts=WAITING, expires_at=NOW, status="interrupted", message="Waiting.")) == {
        "user_id": "ann",
        "session_id": "s",
        "status": "interrupted",
        "message": "Waiting.",
        "last_query": "Hi",
        "last_response": encode.last_response(record()),
        "last_updated": 1767323045.6789,
        "expires_at": 1767323045.6789,
        "interrupt_data": WAITING[0],
        "interrupts": list(WAITING),
    }


def test_a_session_that_there_is_not_has_the_same_fields() -> None:
    missing = encode.not_found("ann", "s")
    assert missing.keys() == encode.status(record()).keys()
    assert (missing["status"], missing["user_id"], missing["session_id"]) == ("not_found", "ann", "s")
