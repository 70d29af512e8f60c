"""The rows of a thread: what both databases store of it, and how they are read and written.

A thread has one row with its newest checkpoint, one row for each message, and one for each write of the current step.
So a turn stores its new messages alone, however long the conversation is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

Typed = tuple[str, bytes]
"""A value as LangGraph's serializer stores it: its type, and its bytes."""


class Place(NamedTuple):
    """A thread, or with a namespace a subgraph that runs in it."""

    thread_id: str
    checkpoint_ns: str = ""

    def by_name(self) -> dict[str, str]:
        """Both ids by their names in LangGraph's configs."""
        return {"thread_id": self.thread_id, "checkpoint_ns": self.checkpoint_ns}


@dataclass(frozen=True, slots=True)
class CheckpointRow:
    """`state` is the checkpoint without its messages. `length` is their number, None for a thread without messages.

    `format` is LangGraph's `Checkpoint["v"]`.
    """

    checkpoint_id: str
    format: int
    length: int | None
    state: Typed


@dataclass(frozen=True, slots=True)
class WriteRow:
    """A write of a task of the step that follows the checkpoint. A negative `idx` marks an error or an interrupt."""

    checkpoint_id: str
    task_id: str
    idx: int
    task_path: str
    channel: str
    value: Typed


@dataclass(frozen=True, slots=True)
class StoredThread:
    """All rows of a thread."""

    checkpoint: CheckpointRow
    messages: Sequence[Typed]
    writes: Sequence[WriteRow]


@dataclass(frozen=True, slots=True)
class ThreadChange:
    """What one transaction changes. `claim` is the claim of the session that must still be the newest; None: no check.

    With a new `checkpoint`, `messages` replace those at their positions, those after the new length are deleted, and so
    are the writes of older checkpoints.
    """

    place: Place
    claim: int | None
    checkpoint: CheckpointRow | None = None
    messages: Mapping[int, Typed] = field(default_factory=dict)
    writes: Sequence[WriteRow] = ()


class ThreadRows(Protocol):
    """The rows in one kind of database. A method raises what its driver raises."""

    async def load(self, place: Place) -> StoredThread | None:
        """All rows of the thread, as of one time."""

    async def store(self, change: ThreadChange) -> bool:
        """Apply the change, whole or not at all. Returns False when the session has a newer claim: nothing changed."""

    async def delete(self, thread_id: str) -> None:
        """Delete the thread with its subgraphs."""

    async def delete_subgraphs(self, thread_id: str, namespaces: Sequence[str]) -> None:
        """Delete these subgraphs of the thread."""

    async def newest_format(self) -> int:
        """The highest `CheckpointRow.format`, 0 when there is no thread."""
