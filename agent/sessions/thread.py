"""The messages of a session: the checkpoints of one LangGraph thread, kept so that the next turn can always begin.

A provider refuses a conversation in which a tool call has no result (LangGraph raises INVALID_CHAT_HISTORY first). So a
turn that ends in the middle is closed: calls that have no result get one that says so. What the agent said stays as far
as somebody heard it: the graph runs ahead of those who listen.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, RemoveMessage, ToolMessage
from langgraph.constants import END

from agent.storage.checkpoints import Checkpoints, delete_thread, prune
from agent.storage.database import storage_errors
from agent.tools.review import UNKNOWN, UNREVIEWED
from agent.turns import TurnService


@dataclass(frozen=True, slots=True)
class Heard:
    """What a turn's events said: the messages that were whole, and the text of the one after them."""

    produced: Sequence[AnyMessage]
    unfinished: str


class Threads:
    """Reads and mends threads. All methods raise StorageUnavailable while the database is away."""

    def __init__(self, turns: TurnService, checkpoints: Checkpoints) -> None:
        self._turns = turns
        self._checkpoints = checkpoints

    async def messages(self, thread_id: str) -> list[AnyMessage]:
        """All messages of the thread, oldest first."""
        messages, _ = await self._state(thread_id)
        return messages

    async def close(
        self,
        thread_id: str,
        *,
        query: HumanMessage | None = None,
        answered: Collection[str] = (),
        heard: Heard | None = None,
    ) -> None:
        """End a turn that broke off: keep the user's `query` and what was `heard`; leave no call without a result.

        The turn began with `query`, or with the answers to the calls `answered`. `heard` None leaves what is there.
        """
        messages, changes = await self._ended(thread_id)
        if query is not None and all(each.id != query.id for each in messages):
            changes.append(query)
        if heard is not None:
            turn = _since(messages, query, answered)
            lost = not_stored(turn, heard.produced)
            results = {each.tool_call_id for each in lost if isinstance(each, ToolMessage)}
            changes = [each for each in changes if getattr(each, "tool_call_id", None) not in results]
            changes += [*cut_to_events(turn, heard), *lost]
            if any(isinstance(each, AIMessage) for each in lost):
                changes += missing_results([*turn, *lost])
        await self._write(thread_id, changes)

    async def close_crashed(self, thread_id: str, query: HumanMessage | None) -> None:
        """End a turn that died with its process, maybe before its `query` was stored."""
        messages, changes = await self._ended(thread_id)
        last = next((each for each in reversed(messages) if isinstance(each, HumanMessage)), None)
        if query is not None and (last is None or last.text != query.text):
            changes.append(query)
        await self._write(thread_id, changes)

    async def keep_heard(self, thread_id: str, heard: str) -> str:
        """Cut what the agent said in the last turn down to what was `heard` of it; returns what stays."""
        messages, _ = await self._state(thread_id)
        changes, kept = cut_to_heard(messages, heard)
        await self._write(thread_id, changes)
        return kept

    async def prune(self, thread_id: str) -> None:
        """Forget the thread's older checkpoints."""
        await prune(self._checkpoints, thread_id)

    async def delete(self, thread_id: str) -> None:
        await delete_thread(self._checkpoints, thread_id)

    async def _state(self, thread_id: str) -> tuple[list[AnyMessage], frozenset[str]]:
        """The messages, also those of a step that is not whole yet; the ids of the calls that wait for a review."""
        _, graph = self._turns.thread_graph()
        with storage_errors():
            state = await graph.aget_state(_config(thread_id))
        waiting = frozenset(each.value["tool_call_id"] for each in state.interrupts)
        return list(state.values.get("messages", ())), waiting

    async def _ended(self, thread_id: str) -> tuple[list[AnyMessage], list[AnyMessage | RemoveMessage]]:
        """End what the thread is in the middle of; its messages, and the results that they lack."""
        _, waiting = await self._state(thread_id)
        # Takes over what has come of the step and drops the rest. LangGraph may still be storing a result of a run
        # that was cancelled, so what is lacking shows only now, when nothing can come to it any more.
        await self._update(thread_id, None, as_node=END)
        messages, _ = await self._state(thread_id)
        return messages, [*missing_results(messages, waiting)]

    async def _write(self, thread_id: str, messages: Sequence[AnyMessage | RemoveMessage]) -> None:
        if messages:
            # As the agent: after it nothing is left to do.
            await self._update(thread_id, {"messages": list(messages)}, as_node="agent")

    async def _update(self, thread_id: str, values: dict[str, Any] | None, *, as_node: str) -> None:
        _, graph = self._turns.thread_graph()
        with storage_errors():
            await graph.aupdate_state(_config(thread_id), values, as_node=as_node)


def missing_results(messages: Sequence[AnyMessage], waiting: frozenset[str] = frozenset()) -> list[AnyMessage]:
    """The results that the last step lacks. `waiting` are the ids of calls that wait for a review: they did not run."""
    at = next((n for n in reversed(range(len(messages))) if isinstance(messages[n], AIMessage)), None)
    if at is None:
        return []
    called = messages[at]
    answered = {each.tool_call_id for each in messages[at + 1 :] if isinstance(each, ToolMessage)}
    calls = called.tool_calls if isinstance(called, AIMessage) else []
    return [
        ToolMessage(
            UNREVIEWED if call["id"] in waiting else UNKNOWN,
            tool_call_id=call["id"],
            name=call["name"],
            status="error",
        )
        for call in calls
        if call["id"] not in answered
    ]


def cut_to_events(messages: Sequence[AnyMessage], heard: Heard) -> list[AnyMessage | RemoveMessage]:
    """The changes after which the turn's `messages` say what its events said, and no more."""
    known = {each.id for each in heard.produced}
    ahead = [each for each in messages if isinstance(each, AIMessage) and each.id not in known]
    said = [heard.unfinished, *[""] * len(ahead)]
    changes: list[AnyMessage | RemoveMessage] = []
    for message, text in zip(ahead, said, strict=False):
        if text or message.tool_calls:
            changes.append(message.model_copy(update={"content": text}))
        else:
            changes.append(RemoveMessage(id=str(message.id)))
    if not ahead and heard.unfinished:
        changes.append(AIMessage(heard.unfinished))
    return changes


def not_stored(messages: Sequence[AnyMessage], produced: Sequence[AnyMessage]) -> list[AnyMessage]:
    """The `produced` messages that the thread's `messages` lack: the database was away when their step ended."""
    ids = {each.id for each in messages}
    results = {each.tool_call_id for each in messages if isinstance(each, ToolMessage)}
    return [
        each
        for each in produced
        if (each.tool_call_id not in results if isinstance(each, ToolMessage) else each.id not in ids)
    ]


def _since(messages: Sequence[AnyMessage], query: HumanMessage | None, answered: Collection[str]) -> list[AnyMessage]:
    """What the turn added: what follows its query, or the calls that it answered."""
    for at in reversed(range(len(messages))):
        each = messages[at]
        if query is not None and each.id == query.id:
            return list(messages[at + 1 :])
        if isinstance(each, AIMessage) and any(call["id"] in answered for call in each.tool_calls):
            return list(messages[at + 1 :])
    return []


def cut_to_heard(messages: Sequence[AnyMessage], heard: str) -> tuple[list[AnyMessage | RemoveMessage], str]:
    """The changes after which the agent has said in the last turn what was `heard` and no more; and that text.

    Spacing is not compared: what speech was made of is not the text to the letter.
    """
    start = next((n for n in reversed(range(len(messages))) if isinstance(messages[n], HumanMessage)), -1)
    changes: list[AnyMessage | RemoveMessage] = []
    kept = left = heard.strip()
    for message in messages[start + 1 :]:
        if not isinstance(message, AIMessage) or not (said := "".join(str(message.text).split())):
            continue
        if (rest := _behind(left, said)) is not None:
            left = rest
            continue
        text, left = left, ""
        if text or message.tool_calls:
            changes.append(message.model_copy(update={"content": text}))
        else:
            changes.append(RemoveMessage(id=str(message.id)))
    return changes, kept[: len(kept) - len(left)].rstrip()


def _behind(heard: str, said: str) -> str | None:
    """What `heard` has behind `said`, which has no spaces; None when it does not begin with it."""
    at = 0
    for letter in said:
        while heard[at : at + 1].isspace():
            at += 1
        if heard[at : at + 1] != letter:
            return None
        at += 1
    return heard[at:].lstrip()


def _config(thread_id: str) -> Any:
    return {"configurable": {"thread_id": thread_id}}
