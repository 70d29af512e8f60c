"""One turn of a phone call is spoken as its events come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from types import SimpleNamespace
from typing import Any, cast

from agent.calls.call_turn import CallTurn
from agent.calls.caller_words import CallerWords
from agent.calls.details import CallDetails
from agent.calls.line import Line
from agent.calls.speech import Speech
from agent.events import TextDelta, TurnFinished
from agent.sessions.events import SessionEvent, SessionOpened
from config.profile.phone import NumberProfile, PhoneSettings


class _Line:
    def __init__(self) -> None:
        self.said = ""

    async def say(self, text: str, **_: Any) -> None:
        self.said += text


async def test_the_last_word_does_not_wait_until_the_turn_is_stored() -> None:
    finished, stored = asyncio.Event(), asyncio.Event()

    async def invoke(_: object) -> AsyncGenerator[SessionEvent, None]:
        yield SessionOpened("CA1")
        yield TextDelta("Good morn")
        yield TextDelta("ing")
        yield TurnFinished("stop")
        finished.set()
        await stored.wait()

    services: Any = SimpleNamespace(
        turns=SimpleNamespace(statistics=SimpleNamespace(count_request=lambda _: None)),
        sessions=SimpleNamespace(invoke=invoke),
        limits=None,
    )
    line, profile = _Line(), NumberProfile()
    words = CallerWords()
    words.add("Hello")
    details = CallDetails("+1555", "CA1", "token", profile, PhoneSettings())
    turn = CallTurn(details, services, Speech(cast(Line, line), profile), cast(Line, line))
    running = asyncio.create_task(turn.run(words))
    await finished.wait()
    assert line.said == "Good morning"
    assert not words
    stored.set()
    await running
