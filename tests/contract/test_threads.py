"""What a turn on a thread reads and writes, and threads of earlier versions: one suite over SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import Command

from agent.sessions.store import SessionStore
from agent.storage.checkpoints import delete_thread, open_checkpoints
from agent.storage.database import Database
from agent.storage.fence import ClaimedThread
from agent.storage.sqlite import Sqlite
from agent.storage.sqlite_thread_rows import SqliteThreadRows
from agent.storage.thread_rows import Place, StoredThread, ThreadChange, ThreadRows
from agent.storage.thread_saver import ThreadSaver
from config.errors import ConfigError, LeaseLost
from tests.contract.conftest import OpenDatabase
from tests.contract.test_checkpoints import agent, agent_with_subgraph, config, rows_of, said, say
from tests.support.session_rig import eventually


@dataclass(slots=True)
class CountedRows:
    """Counts what is read and written. What is read arrives once `arrives` is set."""

    rows: ThreadRows
    arrives: asyncio.Event
    loads: int = 0
    changes: list[ThreadChange] = field(default_factory=list)

    async def load(self, place: Place) -> StoredThread | None:
        stored = await self.rows.load(place)
        self.loads += 1
        await self.arrives.wait()
        return stored

    async def store(self, change: ThreadChange) -> bool:
        self.changes.append(change)
        return await self.rows.store(change)

    async def delete(self, thread_id: str) -> None:
        await self.rows.delete(thread_id)

    async def delete_subgraphs(self, thread_id: str, namespaces: Sequence[str]) -> None:
        await self.rows.delete_subgraphs(thread_id, namespaces)

    async def newest_format(self) -> int:
        return await self.rows.newest_format()


def written_bytes(change: ThreadChange) -> int:
    states = [change.checkpoint.state] if change.checkpoint else []
    return sum(len(each) for _, each in (*states, *change.messages.values(), *(row.value for row in change.writes)))


@dataclass(slots=True)
class Process:
    """A process that runs turns on one session."""

    store: SessionStore
    rows: CountedRows
    saver: ThreadSaver

    async def turn(self, words: str) -> None:
        """One model call."""
        before = await self.store.claim("u", "s", f"turn {id(self)}", words)
        graph = StateGraph(MessagesState)
        graph.add_node("answer", lambda state: {"messages": [AIMessage(f"You said {state['messages'][-1].content}.")]})
        graph.add_edge(START, "answer")
        thread = ClaimedThread(before.thread_id, before.claims + 1).config()
        run = graph.compile(checkpointer=self.saver).ainvoke(
            {"messages": [HumanMessage(words)]}, thread, durability="sync"
        )
        await run
        await self.store.finish(f"turn {id(self)}", "completed")

    async def said(self) -> list[str]:
        record = await self.store.find("u", "s")
        assert record is not None
        state = await agent(self.saver).aget_state(config(record.thread_id))
        return [str(each.content) for each in state.values["messages"]]


@asynccontextmanager
async def process(database: Database) -> AsyncIterator[Process]:
    async with AsyncExitStack() as closing:
        rows: ThreadRows
        if isinstance(database.backend, Sqlite):
            rows = SqliteThreadRows(database)
        else:
            from agent.storage.postgres_thread_rows import PostgresThreadRows

            rows = PostgresThreadRows(await closing.enter_async_context(database.backend.pool(2)))
        counted = CountedRows(rows, asyncio.Event())
        counted.arrives.set()
        saver = ThreadSaver(counted, None, serde=JsonPlusSerializer(allowed_msgpack_modules=None))
        yield Process(SessionStore(database), counted, saver)


@pytest.fixture
async def one(database: Database) -> AsyncIterator[Process]:
    async with process(database) as one:
        await one.store.create("u", "s")
        yield one


@pytest.fixture
async def other(open_it: OpenDatabase, one: Process) -> AsyncIterator[Process]:
    async with open_it() as database, process(database) as other:
        yield other


# The cost of a turn


async def test_a_turn_without_tools_is_one_write_of_its_two_messages(one: Process) -> None:
    await one.turn("one")
    await one.turn("two")
    assert [list(each.messages) for each in one.rows.changes] == [[0, 1], [2, 3]]
    assert [len(each.writes) for each in one.rows.changes] == [0, 0]
    assert await one.said() == ["one", "You said one.", "two", "You said two."]


async def test_turn_1000_reads_and_writes_as_much_as_turn_10(one: Process) -> None:
    record = await one.store.find("u", "s")
    assert record is not None
    costs = []
    for turns in (9, 990):
        long = [each for n in range(turns) for each in (HumanMessage(f"{n:05}"), AIMessage(f"Answer {n:05}"))]
        await agent(one.saver).aupdate_state(config(record.thread_id), {"messages": long}, as_node="afterwards")
        await one.turn("again")  # the first turn of a process reads the thread
        one.rows.loads, one.rows.changes = 0, []
        await one.turn("again")
        costs.append((one.rows.loads, len(one.rows.changes), sum(map(written_bytes, one.rows.changes))))
    assert len(await one.said()) == 2006
    assert costs[0][:2] == costs[1][:2] == (0, 1)
    assert abs(costs[0][2] - costs[1][2]) < 50, costs


async def test_of_a_thread_in_memory_the_message_that_changed_is_written_alone(one: Process) -> None:
    await one.turn("one")
    before = await one.store.claim("u", "s", "turn", None)
    thread, graph = ClaimedThread(before.thread_id, before.claims + 1).config(), agent(one.saver)
    answer = (await graph.aget_state(thread)).values["messages"][1]
    await graph.aupdate_state(thread, {"messages": [AIMessage("You said", id=answer.id)]}, as_node="afterwards")
    assert list(one.rows.changes[-1].messages) == [1]
    assert await one.said() == ["one", "You said"]


async def test_a_thread_is_read_again_once_another_process_had_it(one: Process, other: Process) -> None:
    await one.turn("one")
    await one.turn("two")
    assert one.rows.loads == 1
    await other.turn("three")
    await one.turn("four")
    assert (one.rows.loads, other.rows.loads) == (2, 1)
    assert (await other.said())[::2] == ["one", "two", "three", "four"]


async def test_an_older_turn_that_is_still_ending_hides_nothing_from_the_newer_one(one: Process) -> None:
    await one.turn("one")
    before = await one.store.claim("u", "s", "newer", None)
    older, newer = (ClaimedThread(before.thread_id, before.claims + n).config() for n in (0, 1))
    graph = agent(one.saver)
    await graph.aget_state(newer)
    one.rows.arrives.clear()
    late = asyncio.create_task(graph.aget_state(older))
    await eventually(lambda: one.rows.loads == 2)
    await graph.aupdate_state(newer, {"messages": [AIMessage("New.")]}, as_node="afterwards")
    one.rows.arrives.set()
    await late
    with pytest.raises(LeaseLost):
        await graph.aupdate_state(older, {"messages": [AIMessage("Late.")]}, as_node="afterwards")
    one.rows.loads = 0
    messages = (await graph.aget_state(newer)).values["messages"]
    assert [each.content for each in messages] == ["one", "You said one.", "New."]
    assert one.rows.loads == 0


async def test_of_a_deleted_thread_the_subgraphs_are_forgotten_too(one: Process) -> None:
    before = await one.store.claim("u", "s", "turn", None)
    thread = ClaimedThread(before.thread_id, before.claims + 1).config()
    await agent_with_subgraph(one.saver).ainvoke({"messages": [HumanMessage("Hi")]}, thread)
    [place] = {each.place for each in one.rows.changes if each.place.checkpoint_ns}
    waiting: Any = {"configurable": {**thread["configurable"], **place.by_name()}}
    assert await one.saver.aget_tuple(waiting) is not None
    await one.saver.adelete_thread(before.thread_id)
    assert await one.saver.aget_tuple(waiting) is None


async def test_a_session_does_not_wait_for_the_checkpoint_of_another(open_postgres: OpenDatabase) -> None:
    """SQLite has one writer at a time by nature."""
    async with open_postgres() as database, open_checkpoints(database) as saver:
        store = SessionStore(database)
        threads = []
        for number in range(100):
            await store.create("u", str(number))
            before = await store.claim("u", str(number), f"turn {number}", None)
            threads.append(ClaimedThread(before.thread_id, before.claims + 1))
        async with database.begin() as connection:
            lock = f"SELECT 1 FROM sessions WHERE thread_id = '{threads[0].thread_id}' FOR UPDATE"
            await connection.exec_driver_sql(lock)
            turns = [asyncio.ensure_future(turn(saver, each)) for each in threads]
            async with asyncio.timeout(30):
                await asyncio.gather(*turns[1:])
            assert not turns[0].done()
        await turns[0]


async def turn(saver: ThreadSaver, thread: ClaimedThread) -> None:
    await agent(saver).ainvoke({"messages": [HumanMessage("Hi")]}, thread.config(), durability="sync")


# Threads of earlier versions


@asynccontextmanager
async def earlier_saver(database: Database) -> AsyncIterator[Any]:
    """LangGraph's own saver, with which earlier versions stored threads."""
    serde = JsonPlusSerializer(allowed_msgpack_modules=None)
    async with AsyncExitStack() as closing:
        if isinstance(database.backend, Sqlite):
            from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

            backend = database.backend
            saver: Any = AsyncSqliteSaver(
                await closing.enter_async_context(backend.connection(backend.checkpoints)), serde=serde
            )
        else:
            from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver

            saver = AsyncPostgresSaver(await closing.enter_async_context(database.backend.pool(2)), serde=serde)  # type: ignore[arg-type]
        await saver.setup()
        yield saver


async def test_a_thread_of_an_earlier_version_goes_on_and_is_deleted_whole(database: Database) -> None:
    async with earlier_saver(database) as earlier:
        await say(earlier, "a", "one")
        await say(earlier, "b", "review")
    async with open_checkpoints(database) as saver:
        assert await said(saver, "a") == ["one", "You said one.", "Anything else?"]
        assert len(await say(saver, "a", "two")) == 6
        answered = await agent(saver).ainvoke(Command(resume="Agreed."), config("b"))
        assert [each.content for each in answered["messages"]] == ["review", "Agreed.", "Anything else?"]
        assert await rows_of(database, "b") == 4
        await delete_thread(saver, "a")
        assert await said(saver, "a") == []
    async with earlier_saver(database) as earlier:
        assert await said(earlier, "a") == []


async def test_earlier_checkpoints_of_a_version_that_is_not_known_are_refused(database: Database) -> None:
    async with earlier_saver(database) as earlier:
        await say(earlier, "a", "one")
        if isinstance(database.backend, Sqlite):
            newest = await earlier.aget_tuple(config("a"))
            place = {"configurable": {"thread_id": "a", "checkpoint_ns": ""}}
            await earlier.aput(place, {**newest.checkpoint, "id": "f", "v": 99}, {}, {})
        else:
            async with database.begin() as connection:
                await connection.exec_driver_sql("INSERT INTO checkpoint_migrations (v) VALUES (999)")
    with pytest.raises(ConfigError, match="a newer version of Switchboard wrote them"):
        async with open_checkpoints(database):
            pass
