"""Streams send the events that are documented, with the documented fields, and no others."""

from __future__ import annotations

import inspect
import re
from collections.abc import AsyncGenerator, Iterable
from typing import Any

import orjson

from agent.events import (
    Event,
    HandOff,
    TextDelta,
    ToolFinished,
    ToolStarted,
    TurnFailed,
    TurnFinished,
    Usage,
)
from agent.sessions.events import SessionEnded, SessionEvent, SessionOpened
from api.chat import encode as chat
from api.docs.events import CHAT_EVENTS, RESTARTED, SESSION_EVENTS, STREAMS, EventType
from api.sessions.encode import SseEncoder
from config.errors import SessionBusy
from tests.unit.api.sessions.test_encode import WAITING, record

FAILED = TurnFailed(SessionBusy("Busy."))
TURN: tuple[Event, ...] = (
    TextDelta("One moment."),
    ToolStarted("c1", "multiply", {"a": 6}),
    ToolFinished("c1", "multiply", "42", True),
    HandOff("c2", "transferCall", {"destination": "+1"}),
    Usage(3, 4),
)


async def stream(items: Iterable[Any]) -> AsyncGenerator[Any, None]:
    for item in items:
        yield item


async def sent(lines: AsyncGenerator[bytes, None]) -> list[dict[str, Any]]:
    return [orjson.loads(line.removeprefix(b"data: ")) async for line in lines]


def assert_documented(events: list[dict[str, Any]], types: Iterable[EventType], common: Iterable[str]) -> None:
    documented = {each.type: each for each in types}
    assert {each["type"] for each in events} == documented.keys()
    for event in events:
        known = documented[event.pop("type")]
        assert {*known.fields, *common} <= event.keys() <= {*known.fields, *known.optional, *common}, event


async def test_the_events_of_sessions_and_tasks() -> None:
    async def events(*ending: SessionEvent) -> list[dict[str, Any]]:
        turn: list[SessionEvent] = [SessionOpened("s"), *TURN, *ending]
        return await sent(SseEncoder(None).sse(stream(turn)))

    found = await events(TurnFinished("stop"), SessionEnded(record()))
    found += await events(TurnFinished("interrupted"), SessionEnded(record(interrupts=WAITING)))
    found += await events(FAILED, SessionEnded(record()))
    sessions, tasks, _ = STREAMS
    assert_documented([dict(each) for each in found], SESSION_EVENTS, sessions.common)
    restarted = orjson.loads(SseEncoder("s").restarted_line().removeprefix(b"data: "))
    assert_documented([*found, restarted], (*SESSION_EVENTS, RESTARTED), tasks.common)


async def test_the_events_of_chat() -> None:
    found = await sent(chat.sse(stream([*TURN, TurnFinished("stop")]), "..."))
    found += await sent(chat.sse(stream([TurnFinished("stop")]), "...", lambda: {"shape": "mismatch"}))
    found += await sent(chat.sse(stream([FAILED]), "..."))
    assert_documented(found, CHAT_EVENTS, ())


def test_no_event_is_sent_that_is_not_documented() -> None:
    for module, types in ((chat, CHAT_EVENTS), (inspect.getmodule(SseEncoder), (*SESSION_EVENTS, RESTARTED))):
        assert module is not None
        kinds = set(re.findall(r'_line\("(\w+)"', inspect.getsource(module)))
        assert kinds == {each.type for each in types}
