"""The messages of sessions, stored as the checkpoints of one LangGraph thread each."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, RemoveMessage, ToolMessage
from langchain_core.runnables import RunnableConfig
from langgraph.constants import END
from langgraph.graph.message import add_messages
from langgraph.types import StateSnapshot

from agent.sessions.record import SessionRecord
from agent.sessions.thread_repair import (
    Change,
    DeliveredOutput,
    last_turn,
    messages_of_turn,
    missing_results,
    not_stored,
    take_back,
    truncate_to_delivered,
    truncate_to_heard,
)
from agent.storage.checkpoints import delete_thread
from agent.storage.database import storage_errors
from agent.storage.fence import ClaimedThread
from agent.storage.thread_saver import ThreadSaver
from agent.turns import TurnService


class Threads:
    """Reads, closes and truncates threads. Every method raises StorageUnavailable during an outage, and one that
    writes raises LeaseLost when there is a newer claim.

    A thread is "closed" when the next turn can begin on it, see `agent.sessions.thread_repair`.
    """

    def __init__(self, turns: TurnService, checkpoints: ThreadSaver) -> None:
        self._turns = turns
        self._checkpoints = checkpoints

    async def messages(self, record: SessionRecord) -> list[AnyMessage]:
        """All messages of the session, oldest first. The last query is one of them, even if no step is stored yet."""
        messages, _ = await self._state({"configurable": {"thread_id": record.thread_id}})
        if record.query_id is not None and record.last_query and not _has_query(messages, record):
            messages.append(HumanMessage(record.last_query, id=record.query_id))
        return messages

    async def close(
        self,
        thread: ClaimedThread,
        *,
        query: HumanMessage | None = None,
        answered: Collection[str] = (),
        delivered: DeliveredOutput | None = None,
    ) -> None:
        """Close the thread of an incomplete turn, and keep its `query`.

        The turn began with `query`, or with the answers to the tool calls `answered`. Its messages are truncated to
        what was `delivered`; None keeps them.
        """
        messages, changes = await self._end_step(thread)
        if query is not None and all(each.id != query.id for each in messages):
            changes.append(query)
        if delivered is not None:
            turn = messages_of_turn(messages, query, answered)
            lost = not_stored(turn, delivered.produced)
            results = {each.tool_call_id for each in lost if isinstance(each, ToolMessage)}
            changes = [each for each in changes if getattr(each, "tool_call_id", None) not in results]
            changes += [*truncate_to_delivered(turn, delivered), *lost]
            if any(isinstance(each, AIMessage) for each in lost):
                changes += missing_results([*turn, *lost])
        await self._write(thread, changes)

    async def close_crashed(self, thread: ClaimedThread, before: SessionRecord) -> None:
        """Close the thread of a turn whose process died, perhaps before the user's message was stored."""
        messages, changes = await self._end_step(thread)
        if before.last_query and not _has_query(messages, before):
            changes.append(HumanMessage(before.last_query, id=before.query_id))
        await self._write(thread, changes)

    async def reopen(
        self, thread: ClaimedThread, query: HumanMessage | None, accepted: Collection[str] = ()
    ) -> list[AnyMessage]:
        """Prepare the thread of a crashed turn for its continuation; returns the messages that the turn has added.

        The turn began with `query`, or with the answers that `accepted` these tool calls. A call without a result may
        have been executed: its result says so, and it is not executed again. An answer that is complete is removed,
        because its reader may not have received it: the model is asked again.
        """
        messages, changes = await self._end_step(thread, accepted)
        added = messages_of_turn(messages, query, accepted)
        if query is not None and all(each.id != query.id for each in messages):
            added, changes = [], [*changes, query]
        elif added and isinstance(added[-1], AIMessage) and not added[-1].tool_calls:
            changes.append(RemoveMessage(id=str(added.pop().id)))
        await self._write(thread, changes)
        return [*added, *(each for each in changes if isinstance(each, ToolMessage))]

    async def pending_reviews(self, thread: ClaimedThread) -> list[dict[str, Any]]:
        """The questions for which the thread's last step waits, each with its `interrupt_id`."""
        state = await self._snapshot(thread.config())
        return [{"interrupt_id": each.id, **each.value} for each in state.interrupts]

    async def truncate(self, thread: ClaimedThread, heard: str) -> Sequence[AnyMessage]:
        """Truncate the last turn's answer to what the user `heard`; returns the turn's messages that stay."""
        messages, _ = await self._state(thread.config())
        changes = truncate_to_heard(messages, heard)
        await self._write(thread, changes)
        kept: Any = add_messages(list(messages), list(changes))  # type: ignore[arg-type]  # LangGraph's own types
        return last_turn(kept)

    async def replace_query(self, thread: ClaimedThread, query: HumanMessage) -> None:
        """Put `query` in the place of the user's last message and of what answered it, unless it called a tool."""
        messages, _ = await self._state(thread.config())
        if removed := take_back(messages):
            await self._write(thread, [*removed, query])

    async def delete(self, thread_id: str) -> None:
        await delete_thread(self._checkpoints, thread_id)

    async def _state(self, config: RunnableConfig) -> tuple[list[AnyMessage], frozenset[str]]:
        """The messages, with those of an incomplete step, and the ids of the tool calls with a pending review."""
        state = await self._snapshot(config)
        pending = frozenset(each.value["tool_call_id"] for each in state.interrupts)
        return list(state.values.get("messages", ())), pending

    async def _snapshot(self, config: RunnableConfig) -> StateSnapshot:
        _, graph = self._turns.graphs.for_thread()
        with storage_errors():
            return await graph.aget_state(config)

    async def _end_step(
        self, thread: ClaimedThread, accepted: Collection[str] = ()
    ) -> tuple[list[AnyMessage], list[Change]]:
        """End the current step; returns the thread's messages and the tool results that they lack.

        The calls `accepted` were reviewed, and may have been executed.
        """
        _, pending = await self._state(thread.config())
        # Applies the step's finished writes and drops the rest. LangGraph may still store a result of a cancelled run,
        # so the messages are read only afterwards, when no more results can arrive.
        await self._update(thread, None, as_node=END)
        messages, _ = await self._state(thread.config())
        return messages, [*missing_results(messages, pending.difference(accepted))]

    async def _write(self, thread: ClaimedThread, changes: Sequence[Change]) -> None:
        if changes:
            # As the agent node: no further step follows it.
            await self._update(thread, {"messages": list(changes)}, as_node="agent")

    async def _update(self, thread: ClaimedThread, values: dict[str, Any] | None, *, as_node: str) -> None:
        _, graph = self._turns.graphs.for_thread()
        with storage_errors():
            await graph.aupdate_state(thread.config(), values, as_node=as_node)


def _has_query(messages: Sequence[AnyMessage], record: SessionRecord) -> bool:
    """Whether the session's last query is one of the messages. A turn of an earlier version has no `query_id`."""
    if record.query_id is not None:
        return any(each.id == record.query_id for each in messages)
    last = next((each for each in reversed(messages) if isinstance(each, HumanMessage)), None)
    return last is not None and last.text == record.last_query
