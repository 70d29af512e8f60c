"""What a task does. There are two kinds: a turn on a session, and a response of OpenAI's API in the background."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol
from uuid import uuid4

from sqlalchemy import Executable

from agent.tasks.event_log import EventLog
from agent.tasks.record import TaskRecord, TaskStatus
from config.errors import SwitchboardError

SESSION: Final = "session"
"""The kind of a turn on a session; also of the rows of earlier versions."""

RESPONSE: Final = "response"
"""The kind of a response in the background."""


@dataclass(frozen=True, slots=True)
class NewTask:
    """A task to store, with its first events. `changes` of other tables come with it, and go with `undo`."""

    user_id: str
    session_id: str
    request: Mapping[str, Any]
    kind: str = SESSION
    task_id: str = field(default_factory=lambda: uuid4().hex)
    lines: Sequence[str] = ()
    changes: Sequence[Executable] = ()
    undo: Sequence[Executable] = ()


@dataclass(frozen=True, slots=True)
class Ending:
    """How a task ends: its answer, its last events, and what changes in other tables in the same transaction."""

    status: TaskStatus
    answer: Mapping[str, Any]
    lines: Sequence[str] = ()
    changes: Sequence[Executable] = ()


class Attempt(Protocol):
    """One attempt at a task's turn. `has_begun`: the turn runs, and `cancel` ends it."""

    @property
    def has_begun(self) -> bool: ...

    async def run(self, log: EventLog) -> Ending:
        """Run the turn to its end, with its events in `log`.

        Raises:
            SessionBusy: before the turn has begun: it may run later.
            ServerStopping: another worker has to go on.
            SwitchboardError: the turn failed.
        """

    def cancel(self) -> None:
        """End the turn with TurnCancelled."""

    def failed(self, error: SwitchboardError) -> Ending:
        """The end of a task whose turn failed with `error`, or did not begin."""


class TaskKind(Protocol):
    """Runs the tasks of one kind."""

    def attempt(self, record: TaskRecord, claim_id: str, earlier: Sequence[str]) -> Attempt:
        """A new attempt at the task. `earlier` are the events of those before it."""

    def cancelled(self, record: TaskRecord) -> Ending:
        """The end of a task that nobody runs."""
