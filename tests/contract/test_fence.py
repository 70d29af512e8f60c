"""A turn whose session went on without it writes nothing: the same suite over SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.runnables import RunnableConfig

from agent.sessions.store import SessionStore
from agent.storage import postgres, sqlite
from agent.storage.checkpoints import open_checkpoints
from agent.storage.database import Database, open_database, storage_errors
from agent.storage.fence import ClaimedThread
from agent.storage.postgres_thread_rows import CLAIMED
from agent.storage.thread_saver import ThreadSaver
from config.errors import LeaseLost, StorageUnavailable
from tests.contract.conftest import OpenDatabase
from tests.contract.test_checkpoints import agent, said

LAPSED = -1.0
"""A lease in seconds: whoever comes next takes the session over."""

TURN = ["You said new.", "Anything else?"]


@dataclass(frozen=True, slots=True)
class Process:
    """One of several processes on the same database."""

    database: Database
    store: SessionStore
    saver: ThreadSaver

    async def claim(self, turn_id: str) -> ClaimedThread:
        before = await self.store.claim("u", "s", turn_id, None)
        return ClaimedThread(before.thread_id, before.claims + 1)

    async def say(self, words: str, thread: ClaimedThread) -> None:
        await agent(self.saver).ainvoke({"messages": [HumanMessage(words)]}, thread.config())


@asynccontextmanager
async def process(open_it: OpenDatabase) -> AsyncIterator[Process]:
    async with open_it() as database, open_checkpoints(database) as saver:
        yield Process(database, SessionStore(database, lease=LAPSED), saver)


@pytest.fixture
async def frozen(open_it: OpenDatabase) -> AsyncIterator[Process]:
    """The process whose lease lapses."""
    async with process(open_it) as one:
        await one.store.create("u", "s")
        yield one


@pytest.fixture
async def newer(open_it: OpenDatabase, frozen: Process) -> AsyncIterator[Process]:
    async with process(open_it) as other:
        yield other


async def test_after_a_newer_claim_the_older_turn_writes_nothing(frozen: Process, newer: Process) -> None:
    old = await frozen.claim("old")
    await frozen.say("old", old)
    checkpoint = await frozen.saver.aget_tuple(old.config())
    assert checkpoint is not None
    new = await newer.claim("new")
    place: RunnableConfig = {"configurable": {**checkpoint.config["configurable"], **old.config()["configurable"]}}
    late: Any = {**checkpoint.checkpoint, "id": "ffffffff"}
    for steps in range(2):
        with pytest.raises(LeaseLost):
            await frozen.saver.aput(place, late, {}, {})
        with pytest.raises(LeaseLost):
            await frozen.saver.aput_writes(place, [("messages", [ToolMessage("late", tool_call_id="c")])], "task")
        with pytest.raises(LeaseLost):
            await frozen.say("late", old)
        with pytest.raises(LeaseLost):
            await agent(frozen.saver).aupdate_state(old.config(), {"messages": [HumanMessage("late")]}, "afterwards")
        if steps == 0:
            await newer.say("new", new)
    assert await said(newer.saver, new.thread_id) == ["old", "You said old.", "Anything else?", "new", *TURN]
    newest = await newer.saver.aget_tuple({"configurable": {"thread_id": new.thread_id}})
    assert newest is not None and newest.checkpoint["id"] != "ffffffff" and not newest.pending_writes


async def test_a_refused_write_leaves_the_saver_usable(frozen: Process, newer: Process) -> None:
    old = await frozen.claim("old")
    new = await newer.claim("new")
    with pytest.raises(LeaseLost):
        await frozen.say("late", old)
    async with asyncio.timeout(3):
        await newer.say("new", new)
        again = await frozen.claim("again")
        await frozen.say("again", again)
    assert await said(newer.saver, new.thread_id) == ["new", *TURN, "again", "You said again.", "Anything else?"]


async def test_of_a_removed_session_nothing_is_written(frozen: Process, newer: Process) -> None:
    old = await frozen.claim("old")
    deleted = await newer.store.delete("u", "s")
    assert deleted is not None
    await newer.store.remove([deleted])
    with pytest.raises(LeaseLost):
        await frozen.say("late", old)
    assert await said(newer.saver, old.thread_id) == []


async def test_turns_at_once_are_checked_each_by_its_own_claim(frozen: Process) -> None:
    old = await frozen.claim("old")
    new = await frozen.claim("new")
    outcomes = await asyncio.gather(
        *(frozen.say(f"{n}", old if n % 2 else new) for n in range(6)), return_exceptions=True
    )
    assert [type(each) for each in outcomes] == [type(None), LeaseLost] * 3


async def test_a_renewal_does_not_wait_for_writes(open_postgres: OpenDatabase) -> None:
    """SQLite has one writer at a time, and its writes are short."""
    async with process(open_postgres) as frozen:
        await frozen.store.create("u", "s")
        thread = await frozen.claim("turn")
        async with in_the_middle_of_a_write(frozen.database, thread), asyncio.timeout(2):
            assert await frozen.store.renew(["turn"]) == {"turn": "held"}


async def test_a_take_over_waits_for_a_write_that_was_checked_before(frozen: Process, newer: Process) -> None:
    old = await frozen.claim("old")
    async with in_the_middle_of_a_write(frozen.database, old):
        taking_over = asyncio.create_task(newer.claim("new"))
        done, _ = await asyncio.wait([taking_over], timeout=0.3)
        assert not done
    async with asyncio.timeout(10):
        await taking_over


async def test_a_process_that_froze_in_a_write_does_not_hold_postgres_for_ever(
    open_postgres: OpenDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "IDLE_TIMEOUT", "SET idle_in_transaction_session_timeout = '300ms'")
    async with process(open_postgres) as frozen, process(open_postgres) as newer:
        await frozen.store.create("u", "s")
        old = await frozen.claim("old")
        with pytest.raises(StorageUnavailable), storage_errors():
            async with in_the_middle_of_a_write(frozen.database, old):
                await newer.say("new", await newer.claim("new"))
        assert await said(newer.saver, old.thread_id) == ["new", *TURN]


async def test_a_process_that_froze_in_a_write_to_sqlite_is_an_outage_for_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT", 0.1)

    def open_it() -> Any:
        return open_database(None, tmp_path, 5, 0)

    async with process(open_it) as frozen, process(open_it) as newer:
        await frozen.store.create("u", "s")
        async with in_the_middle_of_a_write(frozen.database, await frozen.claim("old")):
            with pytest.raises(StorageUnavailable):
                await newer.claim("new")


@asynccontextmanager
async def in_the_middle_of_a_write(database: Database, thread: ClaimedThread) -> AsyncIterator[None]:
    """The process has checked its claim, and goes on writing after the block."""
    async with AsyncExitStack() as closing:
        if isinstance(database.backend, sqlite.Sqlite):
            connection = await closing.enter_async_context(database.backend.connection(database.backend.path))
            await connection.execute("BEGIN IMMEDIATE")
            closing.push_async_callback(connection.commit)
        else:
            pool = await closing.enter_async_context(database.backend.pool(1))
            writing: Any = await closing.enter_async_context(pool.connection())
            await closing.enter_async_context(writing.transaction())
            await writing.execute(CLAIMED, {"thread_id": thread.thread_id, "claim": thread.claim})
        yield
