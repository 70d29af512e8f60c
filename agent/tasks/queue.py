"""The queue of background tasks. It only carries their ids: the database has the tasks themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class TaskQueue(Protocol):
    """Passes the ids of tasks to workers.

    An id may get lost, arrive twice, or arrive when the task cannot run yet: `Recovery` sends it again, and a worker
    runs only what it can claim.
    """

    async def send(self, task_ids: Sequence[str]) -> None:
        """Queue the tasks. Raises QueueUnavailable."""

    async def is_empty(self) -> bool:
        """Whether no task waits for a worker. Raises QueueUnavailable."""
