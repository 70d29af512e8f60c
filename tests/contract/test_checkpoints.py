"""Threads of sessions: the same suite over SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any, ClassVar

import pytest
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, RemoveMessage, SystemMessage, ToolMessage
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import Command, interrupt
from sqlalchemy import text

from agent.storage.checkpoints import delete_thread, open_checkpoints
from agent.storage.database import Database, storage_errors
from agent.storage.thread_saver import ThreadSaver
from config.errors import StorageUnavailable
from tests.contract.conftest import OpenDatabase
from tests.support.postgres_server import PostgresServer


@pytest.fixture
async def saver(database: Database) -> AsyncIterator[ThreadSaver]:
    async with open_checkpoints(database) as saver:
        yield saver


def config(thread_id: str) -> Any:
    return {"configurable": {"thread_id": thread_id}}


def agent(saver: ThreadSaver) -> Any:
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


def agent_with_subgraph(saver: ThreadSaver) -> Any:
    """Asks a person in a graph of its own, as a tool may."""
    inner = StateGraph(MessagesState)
    inner.add_node("ask", lambda _: {"messages": [AIMessage(interrupt("sure?"))]})
    inner.add_edge(START, "ask")
    outer = StateGraph(MessagesState)
    outer.add_node("inner", inner.compile())
    outer.add_edge(START, "inner")
    return outer.compile(checkpointer=saver)


async def say(saver: ThreadSaver, thread_id: str, *words: str) -> list[str]:
    """All that has been said in the thread."""
    state: dict[str, Any] = {"messages": []}
    for each in words:
        state = await agent(saver).ainvoke({"messages": [HumanMessage(each)]}, config(thread_id), durability="sync")
    return [str(message.content) for message in state["messages"]]


async def said(saver: ThreadSaver, thread_id: str) -> list[str]:
    state = await agent(saver).aget_state(config(thread_id))
    return [str(message.content) for message in state.values.get("messages", [])]


async def kept(saver: ThreadSaver, thread_id: str) -> int:
    return len([each async for each in saver.alist(config(thread_id))])


async def rows_of(database: Database, thread_id: str) -> int:
    """Every row that is stored of the thread, in whichever table."""
    counts = [
        text(f"SELECT count(*) AS n FROM {table} WHERE thread_id = :thread").bindparams(thread=thread_id)
        for table in ("threads", "thread_messages", "thread_writes")
    ]
    return sum([(await database.execute(each))[0].n for each in counts])


async def test_a_thread_goes_on_in_another_process(saver: ThreadSaver, open_it: OpenDatabase) -> None:
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
    saver: ThreadSaver, caplog: pytest.LogCaptureFixture
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


async def test_what_is_no_message_is_not_brought_to_life(saver: ThreadSaver) -> None:
    """Who can write to the database could otherwise run any code here."""
    message = ToolMessage("x", tool_call_id="1", artifact=Trap("trap"))
    await agent(saver).ainvoke({"messages": [message]}, config("a"))
    Trap.made.clear()
    state = await agent(saver).aget_state(config("a"))
    assert state.values["messages"][0].content == "x"
    assert Trap.made == []


@pytest.mark.parametrize("words", ["a\0b", "half \ud83d of it", "🙂"])
async def test_whatever_is_said_can_be_stored(saver: ThreadSaver, words: str) -> None:
    await say(saver, "a", words)
    assert (await said(saver, "a"))[1].endswith(".")


async def test_only_the_newest_step_is_kept(saver: ThreadSaver, database: Database) -> None:
    for turns in range(1, 4):
        await say(saver, "a", str(turns))
        assert await rows_of(database, "a") == 1 + 3 * turns  # the checkpoint, and each message once
        (only,) = [each async for each in saver.alist(config("a"))]
        assert only.parent_config is None and not only.pending_writes


async def test_a_message_that_changes_is_replaced_and_one_that_is_removed_is_gone(
    saver: ThreadSaver, database: Database
) -> None:
    await say(saver, "a", "one", "two")
    messages = (await agent(saver).aget_state(config("a"))).values["messages"]
    changes = [messages[1].model_copy(update={"content": "Changed."}), RemoveMessage(id=messages[2].id)]
    await agent(saver).aupdate_state(config("a"), {"messages": changes}, as_node="afterwards")
    assert await said(saver, "a") == ["one", "Changed.", "two", "You said two.", "Anything else?"]
    assert await rows_of(database, "a") == 6


async def test_an_interrupted_turn_is_answered_in_another_process(saver: ThreadSaver, open_it: OpenDatabase) -> None:
    await say(saver, "a", "one", "review")
    async with open_it() as database, open_checkpoints(database) as other:
        state = await agent(other).aget_state(config("a"))
        assert [each.value for each in state.interrupts] == [{"ask": "review"}]
        answered = await agent(other).ainvoke(Command(resume="Agreed."), config("a"))
    assert [message.content for message in answered["messages"][-2:]] == ["Agreed.", "Anything else?"]


async def test_an_unknown_thread_is_empty(saver: ThreadSaver) -> None:
    await delete_thread(saver, "unknown")
    assert await said(saver, "unknown") == []
    assert await kept(saver, "unknown") == 0


async def test_a_subgraph_that_waits_is_answered_and_leaves_nothing(saver: ThreadSaver, database: Database) -> None:
    graph = agent_with_subgraph(saver)
    await graph.ainvoke({"messages": [HumanMessage("Hi")]}, config("a"))
    assert await rows_of(database, "a") > 3
    answered = await graph.ainvoke(Command(resume="Yes."), config("a"))
    assert [each.content for each in answered["messages"]] == ["Hi", "Yes."]
    assert await rows_of(database, "a") == 3


async def test_of_a_deleted_thread_nothing_is_left(saver: ThreadSaver, database: Database) -> None:
    await say(saver, "a", "one", "review")
    await say(saver, "b", "other")
    await delete_thread(saver, "a")
    assert await rows_of(database, "a") == 0
    assert await said(saver, "a") == []
    assert len(await said(saver, "b")) == 3


async def test_many_threads_at_once_do_not_hinder_each_other(saver: ThreadSaver) -> None:
    async with asyncio.timeout(60):
        everything = await asyncio.gather(*[say(saver, str(n), "one", "two") for n in range(100)])
    assert all(len(each) == 6 for each in everything)


async def test_a_write_that_is_cancelled_does_not_keep_other_processes_out(
    saver: ThreadSaver, open_it: OpenDatabase
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
        calls = [delete_thread(saver, "a"), *(guarded(saver) for _ in range(20))]
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


async def guarded(saver: ThreadSaver) -> None:
    with storage_errors():
        await saver.aget_tuple(config("a"))
