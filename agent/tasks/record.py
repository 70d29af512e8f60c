"""A background task's record: what was asked, how far it is, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

TaskStatus = Literal["queued", "running", "interrupted", "completed", "error", "cancelled"]
"""The last four are final. `interrupted`: the turn stopped for a review; the answer to it is a task of its own."""


@dataclass(frozen=True, slots=True)
class TaskRecord:
    """One task of a user.

    `kind` says what it does, see `agent.tasks.kind`; `request` is what that kind stores. `answer` is what a caller who
    waits would have got; None until the task ends. `steps` are the names of the tools called so far, in order.
    `produced` is what an attempt has saved for the next one. `events` is the number of events so far. `attempts` counts
    the times that a worker took the task up. Times are timezone-aware, in UTC.
    """

    task_id: str
    user_id: str
    session_id: str
    status: TaskStatus
    request: Mapping[str, Any]
    answer: Mapping[str, Any] | None
    steps: Sequence[str]
    events: int
    attempts: int
    cancel_asked: bool
    created: datetime
    started: datetime | None
    finished: datetime | None
    kind: str
    produced: Any


@dataclass(frozen=True, slots=True)
class Progress:
    """New events of a task as text, of which the first is number `first`, and the names of all tools called so far.

    `produced` takes the place of what the task has; None leaves that.
    """

    first: int
    lines: Sequence[str]
    steps: Sequence[str]
    produced: Any = None

    @property
    def last(self) -> int:
        return self.first + len(self.lines) - 1
