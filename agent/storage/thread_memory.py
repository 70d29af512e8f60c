"""Threads in memory: what the next step or turn reads without a look into the database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from operator import is_
from typing import Any, Final, NamedTuple

from langgraph.checkpoint.base import Checkpoint, CheckpointMetadata, CheckpointTuple, copy_checkpoint

from agent.storage.thread_rows import Place
from router.sized_cache import SizedCache

MESSAGES: Final = "messages"
"""The channel whose list is stored as one row for each item."""

KEPT_THREADS: Final = 2_000
KEPT_BYTES: Final = 16 * 1024 * 1024
"""How many threads are remembered, and their size as rows. In memory a message takes about three times as much."""


class WriteKey(NamedTuple):
    """In the order in which LangGraph applies writes, within one checkpoint."""

    checkpoint_id: str
    task_path: str
    task_id: str
    idx: int


@dataclass(slots=True)
class KnownThread:
    """A thread as the claim `claim` left it, and how much of it is stored.

    `stored_id` is the checkpoint that is stored, None when that is not known. `stored_messages` are the messages in the
    rows, and `size` is their number of bytes. `stored_writes` are those of `writes` that are stored.
    """

    claim: int
    checkpoint: Checkpoint
    metadata: CheckpointMetadata
    stored_id: str | None = None
    stored_messages: list[Any] = field(default_factory=list)
    size: int = 0
    writes: dict[WriteKey, tuple[str, Any]] = field(default_factory=dict)
    stored_writes: set[WriteKey] = field(default_factory=set)

    @property
    def checkpoint_id(self) -> str:
        return self.checkpoint["id"]

    @property
    def is_stored(self) -> bool:
        return self.stored_id == self.checkpoint_id and self.writes.keys() <= self.stored_writes

    @property
    def messages(self) -> list[Any] | None:
        value = self.checkpoint["channel_values"].get(MESSAGES)
        return value if isinstance(value, list) else None

    def advance(self, checkpoint: Checkpoint, metadata: CheckpointMetadata) -> None:
        """The next checkpoint. Writes of older ones are part of it; those of newer ones may have come before."""
        self.checkpoint, self.metadata = copy_checkpoint(checkpoint), metadata
        self.writes = {key: value for key, value in self.writes.items() if key.checkpoint_id >= checkpoint["id"]}
        self.stored_writes &= self.writes.keys()

    def add(self, writes: Mapping[WriteKey, tuple[str, Any]]) -> None:
        """Writes after a checkpoint. A repeated one counts once; an error or an interrupt replaces the earlier one."""
        for key, value in writes.items():
            if key.idx < 0 or key not in self.writes:
                self.writes[key] = value
                self.stored_writes.discard(key)

    def changed_messages(self) -> dict[int, Any]:
        """The messages that the rows lack, by position. Messages are replaced, never changed, so identity tells."""
        now = self.messages or []
        changed = [at for at, same in enumerate(map(is_, self.stored_messages, now)) if not same]
        return {at: now[at] for at in (*changed, *range(len(self.stored_messages), len(now)))}

    def as_tuple(self, place: Place) -> CheckpointTuple:
        """What LangGraph reads."""
        config = {"configurable": {**place.by_name(), "checkpoint_id": self.checkpoint_id}}
        writes = sorted((key, value) for key, value in self.writes.items() if key.checkpoint_id == self.checkpoint_id)
        return CheckpointTuple(
            config,  # type: ignore[arg-type]
            copy_checkpoint(self.checkpoint),
            self.metadata.copy(),
            None,
            [(key.task_id, channel, value) for key, (channel, value) in writes],
        )


class ThreadMemory:
    """The threads of this process. One that is not stored yet is kept in any case, the others while there is room."""

    def __init__(self) -> None:
        self._unstored: dict[Place, KnownThread] = {}
        self._stored: SizedCache[Place, KnownThread] = SizedCache(KEPT_THREADS, KEPT_BYTES)

    def get(self, place: Place, claim: int | None) -> KnownThread | None:
        """The thread, unless another process may have written to it: all claims up to `claim` were this process's."""
        known = self._find(place)
        if known is None or claim is None:
            return None
        if known.claim == claim or (known.claim == claim - 1 and known.is_stored):
            known.claim = claim
            return known
        return None

    def keep(self, place: Place, known: KnownThread) -> None:
        """Remember the thread, unless a newer claim of this process has it: the older turn may still be ending."""
        if self._is_newer(place, known.claim):
            return
        if known.is_stored:
            self._unstored.pop(place, None)
            self._stored.put(place, known, known.size)
        else:
            self._unstored[place] = known

    def forget(self, place: Place, claim: int | None = None) -> None:
        """Forget the thread as `claim` and older ones left it; None means all."""
        if claim is None or not self._is_newer(place, claim):
            self._unstored.pop(place, None)
            self._stored.drop(place)

    def _find(self, place: Place) -> KnownThread | None:
        return self._unstored.get(place) or self._stored.get(place)

    def _is_newer(self, place: Place, claim: int) -> bool:
        known = self._find(place)
        return known is not None and known.claim > claim
