"""Sends tasks to the queue again that got lost, and deletes those that ended long ago.

A task gets lost when its worker dies, when Redis is flushed, or when it is queued before an older one of its session.
Every server and every worker does this; they do not get into each other's way.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import structlog

from agent.storage.sweeping import sweeping
from agent.tasks.queue import TaskQueue
from agent.tasks.store import TaskStore
from config.errors import QueueUnavailable, StorageUnavailable
from router.background_loop import background_loop

log = structlog.get_logger(__name__)

INTERVAL: Final = 1.0
"""Seconds between two looks for lost tasks."""

OVERDUE: Final = 2.0
"""Seconds after which a task counts as lost, when the queue is empty and nobody runs it."""

BATCH: Final = 200


class Recovery:
    """`ttl` is how long a task is kept after its end, in seconds."""

    def __init__(self, store: TaskStore, queue: TaskQueue, ttl: float) -> None:
        self._store = store
        self._queue = queue
        self._ttl = ttl

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Work in the background while this is entered. The first look is at once."""
        async with (
            background_loop("task recovery", self._send_lost_and_log, pause=lambda: INTERVAL, at_once=True),
            sweeping("task sweeper", self.sweep, "tasks_removed"),
        ):
            yield

    async def send_lost(self) -> int:
        """Send lost tasks again; returns their number.

        Raises:
            StorageUnavailable, QueueUnavailable: they are lost until the next look.
        """
        lost = await self._store.overdue(OVERDUE, BATCH)
        if not lost or not await self._queue.is_empty():
            return 0  # those in the queue are not lost
        lost = await self._store.mark_sent(lost, OVERDUE)
        if lost:
            await self._queue.send(lost)
        return len(lost)

    async def sweep(self) -> int:
        """Delete the tasks that ended longer than `ttl` ago; returns their number."""
        removed = 0
        while batch := await self._store.delete_ended(self._ttl, BATCH):
            removed += batch
        return removed

    async def _send_lost_and_log(self) -> None:
        try:
            sent = await self.send_lost()
        except (StorageUnavailable, QueueUnavailable):
            return  # logged where tasks are submitted and stored
        if sent:
            log.info("tasks_taken_up", count=sent)
