"""A session says something to its caller while a tool runs, and stores only the agent's own words."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

import pytest
from langchain_core.messages import AIMessage
from langchain_core.tools import tool

from agent.events import Filler, TextDelta
from agent.sessions.events import SessionEnded, SessionEvent
from agent.sessions.requests import Invocation, Resumption
from agent.storage.database import open_database
from agent.tools.review import ReviewResponse
from agent.tools.tool_set import SERVER_TOOLS
from config.profile.agent_file import AgentProfile
from config.profile.filler import FillerSettings
from tests.support.session_rig import SESSION, USER, session_rig

PATIENCE = 15
"""Seconds, for a busy machine."""

QUERY = '/say Sure.\n/call book_hotel {"hotel_name": "Ritz"}'
FILLER = FillerSettings({"en": ("One moment.",)}, after=0.02)


@pytest.fixture
def sign(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """The agent's tool waits for it."""
    sign = asyncio.Event()

    @tool
    async def book_hotel(hotel_name: str) -> str:
        """Book a room."""
        await sign.wait()
        return "Booked."

    monkeypatch.setitem(SERVER_TOOLS, "book_hotel", book_hotel)
    return sign


async def spoken(events: AsyncGenerator[SessionEvent, None], sign: asyncio.Event) -> list[SessionEvent]:
    """The events of a turn whose tool gets its sign when the filler is spoken."""
    said: list[SessionEvent] = []
    async with asyncio.timeout(PATIENCE), aclosing(events):
        async for event in events:
            said.append(event)
            if isinstance(event, Filler):
                sign.set()
    return said


def heard(events: list[SessionEvent]) -> str:
    return "".join(each.text for each in events if isinstance(each, TextDelta | Filler))


async def test_a_session_keeps_only_the_agents_own_words(tmp_path: Path, sign: asyncio.Event) -> None:
    profile = AgentProfile("Be kind.", tools=("book_hotel",), filler=FILLER)
    async with open_database(None, tmp_path, 5, 10.0) as database, session_rig(database, profile) as rig:
        events = await spoken(rig.service.invoke(Invocation(USER, QUERY, SESSION, filler="en-GB")), sign)
        history = await rig.history()
    assert heard(events) == "Sure. One moment. The tool answered: Booked."
    assert [each.text for each in history if isinstance(each, AIMessage)] == ["Sure.", "The tool answered: Booked."]
    (ended,) = [each for each in events if isinstance(each, SessionEnded)]
    assert "Booked." in str(ended.record) and "moment" not in f"{ended.record} {history}"


async def test_a_session_that_goes_on_after_a_review_has_fillers_too(tmp_path: Path, sign: asyncio.Event) -> None:
    profile = AgentProfile("Be kind.", tools=("book_hotel",), review=("book_hotel",), filler=FILLER)
    accepted = Resumption(USER, SESSION, {None: ReviewResponse("accept")}, filler="en")
    async with open_database(None, tmp_path, 5, 10.0) as database, session_rig(database, profile) as rig:
        events = await spoken(rig.service.invoke(Invocation(USER, QUERY, SESSION, filler="en")), sign)
        assert heard(events) == "Sure."
        assert heard(await spoken(rig.service.resume(accepted), sign)) == "One moment. The tool answered: Booked."
