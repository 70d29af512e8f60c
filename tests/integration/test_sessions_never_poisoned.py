"""A turn may end at any of its events, in any way: the session always takes the next message.

The turn that is walked through speaks, calls a quick tool, a slow one, one that a person reviews and one that hands
off, and speaks again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from langchain_core.messages import AIMessage
from langchain_core.tools import tool
from pydantic import SecretStr
from sqlalchemy import select

from agent.events import ToolStarted
from agent.sessions.events import SessionEnded
from agent.sessions.sessions_table import sessions
from agent.sessions.store import SessionStore
from agent.storage.database import Database, open_database
from agent.tools.tool_set import SERVER_TOOLS
from config.errors import ModelNotFound
from config.profile.agent_file import AgentProfile
from tests.support.session_rig import (
    SESSION,
    USER,
    SessionRig,
    TurnReader,
    answer_text,
    assert_consistent_history,
    eventually,
    queries,
    session_rig,
)

pytestmark = pytest.mark.both_databases

PROFILE = AgentProfile(
    system_prompt="Be kind.",
    tools=("multiply", "slow", "hang", "book_hotel", "transferCall"),
    review=("book_hotel",),
)
PLAIN = """
/say Let me see.
/call multiply {"a": 6, "b": 7}
/call slow {}
/then
/say One moment.
/call slow {}
/call multiply {"a": 1, "b": 2}
""".strip()
HANDED_OFF = """
/say I connect you.
/call multiply {"a": 6, "b": 7}
/call slow {}
/call transferCall {}
""".strip()
REVIEWED = """
/say I book it.
/call multiply {"a": 6, "b": 7}
/call slow {}
/call book_hotel {"hotel_name": "Ritz"}
/then
/say I connect you.
/call slow {}
/call transferCall {}
""".strip()
NEXT = "And now?"

End = Callable[[SessionRig, TurnReader], Awaitable[None]]


@pytest.fixture
async def database(database_url: SecretStr, tmp_path: Path) -> AsyncIterator[Database]:
    async with open_database(database_url.get_secret_value(), tmp_path, 5, 10.0) as database:
        yield database


@pytest.fixture
async def rig(database: Database, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SessionRig]:
    @tool
    async def slow() -> str:
        """Takes its time."""
        await asyncio.sleep(0.002)
        return "at last"

    @tool
    async def hang() -> str:
        """Never answers."""
        await asyncio.Event().wait()
        return ""

    monkeypatch.setitem(SERVER_TOOLS, "slow", slow)
    monkeypatch.setitem(SERVER_TOOLS, "hang", hang)
    async with session_rig(database, PROFILE) as rig:
        yield rig


@pytest.fixture
def long_ago(database: Database) -> SessionStore:
    """Another process an hour ago, which has died since."""
    return SessionStore(database, clock=lambda: time.time() - 3600)


async def closed(rig: SessionRig, turn: TurnReader) -> None:
    await turn.aclose()


async def cancelled(rig: SessionRig, turn: TurnReader) -> None:
    reading = asyncio.create_task(turn.read_all())
    await asyncio.sleep(0)
    reading.cancel()
    await asyncio.wait([reading])


async def stopped(rig: SessionRig, turn: TurnReader) -> None:
    stopping = asyncio.create_task(rig.service.cancel(USER, SESSION))
    await turn.read_all()
    await stopping


async def superseded(rig: SessionRig, turn: TurnReader) -> None:
    newer = asyncio.create_task(rig.invoke("Newer", on_busy="supersede").read_all())
    await turn.read_all()
    assert isinstance((await newer)[-1], SessionEnded)


ENDS = {each.__name__: each for each in (closed, cancelled, stopped, superseded)}


async def length(turn: TurnReader) -> int:
    return len(await turn.read_all())


async def next_message_works(rig: SessionRig, turn: TurnReader, *, first: str, before: str = "") -> None:
    last = rig.invoke(NEXT)
    assert isinstance((await last.read_all())[-1], SessionEnded)
    assert await rig.status() == "completed"
    history = await rig.history()
    assert_consistent_history(history)
    assert [each for each in queries(history) if each != "Newer"] == [first, NEXT]
    assert answer_text(history).startswith("".join((before + turn.text).split()))
    rest = answer_text(history).removeprefix("".join((before + turn.text).split())).replace("Yousaid:Newer", "")
    assert rest == "".join(last.text.split()), history


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("query", [PLAIN, HANDED_OFF, REVIEWED], ids=["plain", "handed off", "reviewed"])
async def test_a_turn_with_tools_ends_at_any_event(rig: SessionRig, query: str, end: str) -> None:
    for at in range(1, await length(rig.invoke(query)) + 1):
        await rig.service.delete(USER, SESSION)
        turn = rig.invoke(query)
        await turn.read(at)
        await ENDS[end](rig, turn)
        await next_message_works(rig, turn, first=query)


@pytest.mark.parametrize("end", ENDS)
async def test_a_turn_that_goes_on_after_a_review_ends_at_any_event(rig: SessionRig, end: str) -> None:
    await rig.invoke(REVIEWED).read_all()
    for at in range(1, await length(rig.accept()) + 1):
        await rig.service.delete(USER, SESSION)
        asked = rig.invoke(REVIEWED)
        await asked.read_all()
        turn = rig.accept()
        await turn.read(at)
        await ENDS[end](rig, turn)
        await next_message_works(rig, turn, first=REVIEWED, before=asked.text)


async def test_a_message_whose_turn_died_before_anything_was_stored_is_kept(
    rig: SessionRig, long_ago: SessionStore
) -> None:
    await rig.invoke("Hi").read_all()
    await long_ago.claim(USER, SESSION, "dead", "Are you there?")
    assert await rig.status() == "error"
    await rig.invoke(NEXT).read_all()
    history = await rig.history()
    assert_consistent_history(history)
    assert queries(history) == ["Hi", "Are you there?", NEXT]


async def test_the_same_words_once_more_are_another_message(rig: SessionRig, long_ago: SessionStore) -> None:
    await rig.invoke("Yes").read_all()
    await long_ago.claim(USER, SESSION, "dead", "Yes")
    assert queries(await rig.history()) == ["Yes", "Yes"]  # the second is stored with the claim alone
    await rig.invoke(NEXT).read_all()
    assert queries(await rig.history()) == ["Yes", "Yes", NEXT]


async def test_a_turn_that_cannot_begin_leaves_the_mending_to_the_next(
    rig: SessionRig, database: Database, long_ago: SessionStore
) -> None:
    await SessionStore(database).create(USER, SESSION, model="gone")
    await long_ago.claim(USER, SESSION, "dead", "Are you there?")
    with pytest.raises(ModelNotFound):
        await rig.invoke("Hi").read_all()
    assert (await rig.service.get(USER, SESSION)).last_query == "Are you there?"
    await rig.invoke(NEXT, model="main").read_all()
    assert queries(await rig.history()) == ["Are you there?", NEXT]


async def test_what_is_cut_to_what_was_heard_after_a_crash_is_whole(rig: SessionRig, long_ago: SessionStore) -> None:
    await rig.invoke("Hi").read_all()
    await long_ago.claim(USER, SESSION, "dead", "Are you there?")
    await rig.service.cancel(USER, SESSION, heard="")
    assert await rig.status() == "error"
    await rig.invoke(NEXT).read_all()
    history = await rig.history()
    assert_consistent_history(history)
    assert queries(history) == ["Hi", "Are you there?", NEXT]


async def test_a_turn_that_lost_its_session_leaves_the_thread_to_the_next(
    rig: SessionRig, database: Database, long_ago: SessionStore
) -> None:
    """As after a long pause of the process, in which the lease lapsed and somebody took the session over."""
    lost = rig.invoke("/call hang {}")
    running = asyncio.create_task(lost.read_all())
    await eventually(lambda: any(isinstance(each, ToolStarted) for each in lost.seen))
    await eventually(lambda: has_answer(rig))  # the call is stored, and the tool runs
    async with database.read() as connection:
        turn_id = (await connection.execute(select(sessions.c.turn_id))).scalar_one()
    await long_ago.renew([turn_id])
    newer = rig.invoke(NEXT)
    await newer.read(2)
    running.cancel()
    await asyncio.wait([running])
    await newer.read_all()
    found = await rig.service.get(USER, SESSION)
    assert (found.status, found.last_query) == ("completed", NEXT)
    assert found.last_response is not None
    assert [each["content"] for each in found.last_response.messages] == [newer.text]
    history = await rig.history()
    assert_consistent_history(history)
    assert queries(history) == ["/call hang {}", NEXT]
    assert len(history) == 5


async def has_answer(rig: SessionRig) -> bool:
    return any(isinstance(each, AIMessage) for each in await rig.history())


async def test_a_caller_that_hangs_up_while_its_turn_begins_leaves_the_session_free(rig: SessionRig) -> None:
    await rig.invoke("Hi").read_all()
    began = 0
    while began < 3:
        for steps in range(200):
            turn = rig.invoke("Are you there?")
            beginning = asyncio.create_task(turn.read(1))
            for _ in range(steps):
                await asyncio.sleep(0)
            began += beginning.done()
            beginning.cancel()
            await asyncio.wait([beginning])
            await turn.aclose()
            assert await rig.status() != "running"
            if began >= 3:
                break
    assert isinstance((await rig.invoke(NEXT).read_all())[-1], SessionEnded)
