"""Threads of sessions: the same suite over SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any, ClassVar

import pytest
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, SystemMessage, ToolMessage
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import Command, interrupt

from agent.storage.checkpoints import Checkpoints, delete_thread, open_checkpoints, prune
from agent.storage.database import Database, open_database, storage_errors
from config.errors import StorageUnavailable
from tests.contract.conftest import OpenDatabase
from tests.support.postgres_server import PostgresServer


@pytest.fixture
async def saver(database: Database) -> AsyncIterator[Checkpoints]:
    async with open_checkpoints(database) as saver:
        yield saver


def config(thread_id: str) -> Any:
    return {"configurable": {"thread_id": thread_id}}


def agent(saver: Checkpoints) -> Any:
    """Answers, and asks a person first when it is told to."""

    def answer(state: MessagesState) -> dict[str, list[AnyMessage]]:
        said = str(state["messages"][-1].content)
        return {"messages": [AIMessage(interrupt({"ask": said}) if said == "review" else f"You said {said}.")]}

    def afterwards(_: MessagesState) -> dict[str, list[AnyMessage]]:
        return {"messages": [AIMessage("Anything else?")]}

    graph = StateGraph(MessagesState)
    graph.add_node("answer", answer)
    graph.add_node("afterwards", afterwards)
    graph.add_edge(START, "answer")
    graph.add_edge("answer", "afterwards")
    return graph.compile(checkpointer=saver)


async def say(saver: Checkpoints, thread_id: str, *words: str) -> list[str]:
    """All that has been said in the thread."""
    state: dict[str, Any] = {"messages": []}
    for each in words:
        state = await agent(saver).ainvoke({"messages": [HumanMessage(each)]}, config(thread_id))
    return [str(message.content) for message in state["messages"]]


async def said(saver: Checkpoints, thread_id: str) -> list[str]:
    state = await agent(saver).aget_state(config(thread_id))
    return [str(message.content) for message in state.values.get("messages", [])]


async def kept(saver: Checkpoints, thread_id: str) -> int:
    return len([each async for each in saver.alist(config(thread_id))])


async def rows_of(database: Database, thread_id: str) -> int:
    """Every row that is stored of the thread, in whichever table."""
    async with AsyncExitStack() as closing:
        if database.engine.dialect.name == "sqlite":
            connection = await closing.enter_async_context(database.backend.connection(database.backend.checkpoints))  # type: ignore[union-attr]
            tables, mark = ("checkpoints", "writes"), "?"
        else:
            pool = await closing.enter_async_context(database.backend.pool(1))  # type: ignore[union-attr]
            connection = await closing.enter_async_context(pool.connection())
            tables, mark = ("checkpoints", "checkpoint_writes", "checkpoint_blobs"), "%s"
        count = 0
        for table in tables:
            cursor = await connection.execute(
                f"SELECT count(*) AS n FROM {table} WHERE thread_id = {mark}", [thread_id]
            )
            row = await cursor.fetchone()
            count += row["n"] if isinstance(row, dict) else row[0]
        return count


async def test_a_thread_goes_on_in_another_process(saver: Checkpoints, open_it: OpenDatabase) -> None:
    await say(saver, "a", "one")
    async with open_it() as database, open_checkpoints(database) as other:
        assert await say(other, "a", "two") == [
            *("one", "You said one.", "Anything else?"),
            *("two", "You said two.", "Anything else?"),
        ]
    assert (await said(saver, "a"))[-2] == "You said two."


MESSAGES: list[AnyMessage] = [
    SystemMessage("Be kind."),
    HumanMessage([{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": "data:x"}}]),
    AIMessage("Let me see", response_metadata={"finish_reason": "tool_calls"}, additional_kwargs={"a": None}),
    AIMessage(
        "",
        tool_calls=[{"name": "multiply", "args": {"a": 1, "b": 2.5}, "id": "c1", "type": "tool_call"}],
        invalid_tool_calls=[{"name": "x", "args": "{", "id": "c2", "error": "no", "type": "invalid_tool_call"}],
        usage_metadata={"input_tokens": 1, "output_tokens": 2, "total_tokens": 3},
    ),
    ToolMessage("2.5", tool_call_id="c1", name="multiply", artifact={"number": "+123"}, status="error"),
]


async def test_every_kind_of_message_comes_back_as_it_was_without_a_warning(
    saver: Checkpoints, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        await agent(saver).ainvoke({"messages": MESSAGES}, config("a"))
        state = await agent(saver).aget_state(config("a"))
    back = state.values["messages"][: len(MESSAGES)]
    assert [(type(each), each.model_dump(exclude={"id"})) for each in back] == [
        (type(each), each.model_dump(exclude={"id"})) for each in MESSAGES
    ]
    assert caplog.records == []


class Trap:
    made: ClassVar[list[str]] = []

    def __init__(self, name: str) -> None:
        self.name = name
        self.made.append(name)

    def _asdict(self) -> dict[str, str]:
        return {"name": self.name}


async def test_what_is_no_message_is_not_brought_to_life(saver: Checkpoints) -> None:
    """Who can write to the database could otherwise run any code here."""
    message = ToolMessage("x", tool_call_id="1", artifact=Trap("trap"))
    await agent(saver).ainvoke({"messages": [message]}, config("a"))
    Trap.made.clear()
    state = await agent(saver).aget_state(config("a"))
    assert state.values["messages"][0].content == "x"
    assert Trap.made == []


@pytest.mark.parametrize("text", ["a\0b", "half \ud83d of it", "🙂"])
async def test_whatever_is_said_can_be_stored(saver: Checkpoints, text: str) -> None:
    await say(saver, "a", text)
    assert (await said(saver, "a"))[1].endswith(".")


async def test_pruning_keeps_what_was_said_and_only_the_newest_step(saver: Checkpoints, database: Database) -> None:
    await say(saver, "a", "one", "two", "three")
    await say(saver, "b", "other")
    everything, others = await said(saver, "a"), await rows_of(database, "b")
    grown = await rows_of(database, "a")
    await prune(saver, "a")
    assert await kept(saver, "a") == 1
    assert await rows_of(database, "a") < grown / 4
    assert await said(saver, "a") == everything
    (only,) = [each async for each in saver.alist(config("a"))]
    assert only.parent_config is None
    assert await rows_of(database, "b") == others
    await prune(saver, "a")
    assert (await say(saver, "a", "four"))[: len(everything)] == everything


async def test_a_thread_that_is_pruned_after_every_turn_grows_by_its_messages_alone(
    saver: Checkpoints, database: Database
) -> None:
    rows = []
    for n in range(4):
        await say(saver, "a", str(n))
        await prune(saver, "a")
        rows.append(await rows_of(database, "a"))
    assert rows[1] == rows[-1]


async def test_pruning_keeps_an_interrupted_turn_answerable(saver: Checkpoints) -> None:
    await say(saver, "a", "one", "review")
    await prune(saver, "a")
    state = await agent(saver).aget_state(config("a"))
    assert [each.value for each in state.interrupts] == [{"ask": "review"}]
    answered = await agent(saver).ainvoke(Command(resume="Agreed."), config("a"))
    assert [message.content for message in answered["messages"][-2:]] == ["Agreed.", "Anything else?"]


async def test_pruning_a_thread_that_is_none_does_nothing(saver: Checkpoints) -> None:
    await prune(saver, "unknown")
    await delete_thread(saver, "unknown")
    assert await said(saver, "unknown") == []


async def test_prunings_at_once_do_not_hinder_each_other(saver: Checkpoints) -> None:
    await say(saver, "a", "one", "two")
    await asyncio.gather(*[prune(saver, "a") for _ in range(5)])
    assert await kept(saver, "a") == 1
    assert len(await said(saver, "a")) == 6


async def test_of_a_deleted_thread_nothing_is_left(saver: Checkpoints, database: Database) -> None:
    await say(saver, "a", "one", "review")
    await say(saver, "b", "other")
    await delete_thread(saver, "a")
    assert await rows_of(database, "a") == 0
    assert await said(saver, "a") == []
    assert len(await said(saver, "b")) == 3


async def test_many_threads_at_once_do_not_hinder_each_other(saver: Checkpoints) -> None:
    async with asyncio.timeout(60):
        everything = await asyncio.gather(*[say(saver, str(n), "one", "two") for n in range(30)])
    assert all(len(each) == 6 for each in everything)


async def test_a_write_that_is_cancelled_does_not_keep_other_processes_out(
    saver: Checkpoints, open_it: OpenDatabase
) -> None:
    first = await saver.aput(
        {"configurable": {"thread_id": "a", "checkpoint_ns": ""}},
        {"v": 4, "id": "1", "ts": "", "channel_values": {}, "channel_versions": {}, "versions_seen": {}},  # type: ignore[typeddict-item]
        {},
        {},
    )
    async with open_it() as database, open_checkpoints(database) as other:
        for steps in range(30):
            writes = [("messages", [HumanMessage("x")])] * 5
            put = asyncio.create_task(saver.aput_writes(first, writes, f"task {steps}"))
            for _ in range(steps):
                await asyncio.sleep(0)
            put.cancel()
            await asyncio.wait([put])
            async with asyncio.timeout(3):
                await other.aput_writes(first, [("messages", [HumanMessage("y")])], f"other {steps}")
        stored = await other.aget_tuple(first)
    assert stored is not None and stored.pending_writes is not None
    tasks = [task for task, *_ in stored.pending_writes]
    assert {tasks.count(f"other {steps}") for steps in range(30)} == {1}
    assert {tasks.count(f"task {steps}") for steps in range(30)} <= {0, 5}  # all of a task's writes or none


async def test_a_restart_of_postgres_is_survived(open_postgres: OpenDatabase, postgres: PostgresServer) -> None:
    async with open_postgres() as database, open_checkpoints(database) as saver:
        await say(saver, "a", "one")
        postgres.stop()
        calls = [prune(saver, "a"), delete_thread(saver, "a"), *(guarded(saver) for _ in range(20))]
        async with asyncio.timeout(15):  # together, and not one after the other
            outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(each) for each in outcomes} == {StorageUnavailable}
        postgres.start()
        assert len(await say(saver, "a", "two")) == 6


async def test_a_restart_that_nobody_was_there_to_see_is_not_even_noticed(
    open_postgres: OpenDatabase, postgres: PostgresServer
) -> None:
    async with open_postgres() as database, open_checkpoints(database) as saver:
        await asyncio.gather(*[say(saver, str(n), "one") for n in range(5)])
        postgres.stop()
        postgres.start()
        assert len(await say(saver, "0", "two")) == 6


async def guarded(saver: Checkpoints) -> None:
    with storage_errors():
        await saver.aget_tuple(config("a"))


async def test_sqlite_keeps_tables_and_threads_in_two_files(tmp_path: Any) -> None:
    async with open_database(None, tmp_path / "data", 5, 0) as database, open_checkpoints(database) as saver:
        await say(saver, "a", "one")
    names = {each.name for each in (tmp_path / "data").iterdir()}
    assert {"switchboard.db", "checkpoints.db"} <= names
