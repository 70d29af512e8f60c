"""The checkpoint saver of threads: keeps the newest checkpoint of each, and stores what is new in it.

LangGraph gives a saver the whole state after each step. Most of it is stored already, so only the new messages are
written, in one transaction with the rest of the checkpoint. Two things are not worth a transaction of their own. They
are stored with the next one:

- A checkpoint that adds the user's message alone: the claim of the session has stored it.
- A message of the user or the model as the write of a task. The checkpoint with it follows at once; after a crash in
  between the model is asked again. What a tool did is never left out: it is stored when its task ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any
from weakref import WeakValueDictionary

from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    get_checkpoint_id,
    get_serializable_checkpoint_metadata,
)
from langgraph.checkpoint.serde.base import SerializerProtocol

from agent.storage.fence import claim_of
from agent.storage.thread_memory import MESSAGES, KnownThread, ThreadMemory, WriteKey
from agent.storage.thread_rows import CheckpointRow, Place, StoredThread, ThreadChange, ThreadRows, WriteRow
from config.errors import LeaseLost


class ThreadSaver(BaseCheckpointSaver[str]):
    """Stores threads in `rows`; reads those that it does not have from the `earlier` saver, if there is one.

    With the config of a `ClaimedThread` it writes only for the newest claim of the session, else it raises LeaseLost,
    and it reads from memory while no other process can have written. Without a claim, everything is read from the
    database and stored at once.
    """

    def __init__(
        self, rows: ThreadRows, earlier: BaseCheckpointSaver[str] | None, *, serde: SerializerProtocol
    ) -> None:
        super().__init__(serde=serde)
        self._rows = rows
        self._earlier = earlier
        self._memory = ThreadMemory()
        self._storing: WeakValueDictionary[Place, asyncio.Lock] = WeakValueDictionary()
        self._subgraphs: dict[str, dict[str, str]] = {}

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        place, claim = _place(config), claim_of(config)
        known = self._memory.get(place, claim) or await self._load(place, claim)
        wanted = get_checkpoint_id(config)
        return None if known is None or (wanted and wanted != known.checkpoint_id) else known.as_tuple(place)

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """The newest checkpoint of the thread, if it matches: older ones are not kept."""
        newest = await self.aget_tuple(config) if config is not None and limit != 0 else None
        end = get_checkpoint_id(before) if before else None
        if newest is None or (end and newest.checkpoint["id"] >= end):
            return
        metadata: dict[str, Any] = dict(newest.metadata)
        if all(metadata.get(key) == value for key, value in (filter or {}).items()):
            yield newest

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        place, claim = _place(config), claim_of(config)
        metadata = get_serializable_checkpoint_metadata(config, metadata)
        known = self._memory.get(place, claim)
        if known is None:
            known = KnownThread(claim or 0, checkpoint, metadata)
        known.advance(checkpoint, metadata)
        if claim is None:
            self._memory.forget(place)
        else:
            self._memory.keep(place, known)
        if claim is None or not _adds_query_alone(known):
            await self._store(place, claim, known)
        await self._end_subgraphs(place, checkpoint["id"], metadata)
        return {"configurable": {**place.by_name(), "checkpoint_id": checkpoint["id"]}}

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        place, claim = _place(config), claim_of(config)
        checkpoint_id = str(get_checkpoint_id(config))
        new = {
            WriteKey(checkpoint_id, task_path, task_id, WRITES_IDX_MAP.get(channel, at)): (channel, value)
            for at, (channel, value) in enumerate(writes)
        }
        known = self._memory.get(place, claim)
        if known is None:
            rows = [self._write_row(key, *write) for key, write in new.items()]
            async with self._one_at_a_time(place):
                await self._apply(ThreadChange(place, claim, writes=rows))
            return
        if checkpoint_id < known.checkpoint_id:
            return  # of a step that is over, and part of the checkpoint after it or dropped with the step
        known.add(new)
        self._memory.keep(place, known)
        if not _can_be_repeated(writes):
            await self._store(place, claim, known)

    async def adelete_thread(self, thread_id: str) -> None:
        for each in ("", *self._subgraphs.pop(thread_id, ())):
            self._memory.forget(Place(thread_id, each))
        await self._rows.delete(thread_id)
        if self._earlier is not None:
            await self._earlier.adelete_thread(thread_id)

    def get_next_version(self, current: str | None, channel: None) -> str:
        """As in LangGraph's savers, so that versions of earlier checkpoints sort before new ones."""
        return f"{int(current.split('.')[0]) + 1 if current else 1:032}"

    async def _load(self, place: Place, claim: int | None) -> KnownThread | None:
        if (stored := await self._rows.load(place)) is not None:
            known = self._known(stored, claim)
        elif self._earlier is not None and (old := await self._earlier.aget_tuple(_config(place))) is not None:
            known = KnownThread(claim or 0, old.checkpoint, old.metadata)
            for at, (task_id, channel, value) in enumerate(old.pending_writes or ()):
                key = WriteKey(known.checkpoint_id, "", task_id, WRITES_IDX_MAP.get(channel, at))
                known.add({key: (channel, value)})
        else:
            return None
        if claim is not None:
            self._memory.keep(place, known)
        return known

    def _known(self, stored: StoredThread, claim: int | None) -> KnownThread:
        state = self.serde.loads_typed(stored.checkpoint.state)
        known = KnownThread(claim or 0, state["checkpoint"], state["metadata"], stored.checkpoint.checkpoint_id)
        if stored.checkpoint.length is not None:
            messages = [self.serde.loads_typed(each) for each in stored.messages]
            known.checkpoint["channel_values"][MESSAGES] = messages
            known.stored_messages = messages.copy()
            known.size = sum(len(content) for _, content in stored.messages)
        for row in stored.writes:
            key = WriteKey(row.checkpoint_id, row.task_path, row.task_id, row.idx)
            known.writes[key] = row.channel, self.serde.loads_typed(row.value)
        known.stored_writes = set(known.writes)
        return known

    async def _store(self, place: Place, claim: int | None, known: KnownThread) -> None:
        """Store what is new, after what is being stored."""
        async with self._one_at_a_time(place):
            if known.is_stored:
                return
            new = known.checkpoint if known.stored_id != known.checkpoint_id else None
            messages = list(known.messages or ())
            changed = {at: self.serde.dumps_typed(each) for at, each in known.changed_messages().items()} if new else {}
            keys = known.writes.keys() - known.stored_writes
            change = ThreadChange(
                place,
                claim,
                self._checkpoint_row(known) if new else None,
                changed,
                [self._write_row(key, *known.writes[key]) for key in sorted(keys)],
            )
            try:
                await self._apply(change)
            except BaseException:
                self._memory.forget(place, claim)  # what the database has now is not known
                raise
            known.stored_writes |= keys
            known.size += sum(len(content) for _, content in changed.values())
            if new:
                known.stored_id, known.stored_messages = new["id"], messages
        if claim is not None and self._memory.get(place, claim) is known:
            self._memory.keep(place, known)

    async def _apply(self, change: ThreadChange) -> None:
        if not await self._rows.store(change):
            raise LeaseLost

    async def _end_subgraphs(self, place: Place, checkpoint_id: str, metadata: CheckpointMetadata) -> None:
        """Delete the subgraphs of steps that have ended: those with a task's id, which follows a colon."""
        if ":" in place.checkpoint_ns:
            root = metadata.get("parents", {}).get("", "")
            self._subgraphs.setdefault(place.thread_id, {})[place.checkpoint_ns] = root
            return
        if place.checkpoint_ns or not (running := self._subgraphs.get(place.thread_id)):
            return
        ended = sorted(each for each, root in running.items() if root < checkpoint_id)
        for each in ended:
            self._memory.forget(Place(place.thread_id, each))
            del running[each]
        if not running:
            del self._subgraphs[place.thread_id]
        if ended:
            await self._rows.delete_subgraphs(place.thread_id, ended)

    def _one_at_a_time(self, place: Place) -> asyncio.Lock:
        return self._storing.setdefault(place, asyncio.Lock())

    def _checkpoint_row(self, known: KnownThread) -> CheckpointRow:
        values = known.checkpoint["channel_values"]
        messages = known.messages
        if messages is not None:
            values = {name: value for name, value in values.items() if name != MESSAGES}
        state = {"checkpoint": {**known.checkpoint, "channel_values": values}, "metadata": known.metadata}
        length = None if messages is None else len(messages)
        return CheckpointRow(known.checkpoint_id, known.checkpoint["v"], length, self.serde.dumps_typed(state))

    def _write_row(self, key: WriteKey, channel: str, value: Any) -> WriteRow:
        return WriteRow(key.checkpoint_id, key.task_id, key.idx, key.task_path, channel, self.serde.dumps_typed(value))


def _place(config: RunnableConfig) -> Place:
    configurable = config["configurable"]
    return Place(str(configurable["thread_id"]), str(configurable.get("checkpoint_ns", "")))


def _config(place: Place) -> RunnableConfig:
    return {"configurable": place.by_name()}


def _adds_query_alone(known: KnownThread) -> bool:
    match known.metadata.get("source"):
        case "input":
            return True
        case "loop":
            added = known.changed_messages().values()
            return bool(added) and all(isinstance(each, HumanMessage) for each in added)
    return False


def _can_be_repeated(writes: Sequence[tuple[str, Any]]) -> bool:
    """Whether these are the writes of a turn's input or of a model call."""
    messages = [each for channel, value in writes if channel == MESSAGES for each in _as_list(value)]
    return bool(messages) and all(isinstance(each, HumanMessage | AIMessage) for each in messages)


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
