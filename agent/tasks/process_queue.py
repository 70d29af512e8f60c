"""The queue within the server's process. Its tasks survive a restart, because they are in the database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final

import structlog

from config.errors import StorageUnavailable

log = structlog.get_logger(__name__)

MAX_WAITING: Final = 1000
"""Ids that are kept. The database has those of further tasks, and they are fetched when the queue is empty."""


class ProcessQueue:
    """Runs up to `concurrency` tasks at the same time."""

    def __init__(self, concurrency: int) -> None:
        self._concurrency = concurrency
        self._waiting: asyncio.Queue[str] = asyncio.Queue(MAX_WAITING)

    async def send(self, task_ids: Sequence[str]) -> None:
        for task_id in task_ids[: MAX_WAITING - self._waiting.qsize()]:
            self._waiting.put_nowait(task_id)

    async def is_empty(self) -> bool:
        return self._waiting.empty()

    @asynccontextmanager
    async def consumed_by(self, run: Callable[[str], Awaitable[None]]) -> AsyncIterator[None]:
        """Pass the tasks to `run` while this is entered."""
        consumers = [asyncio.create_task(self._consume(run)) for _ in range(self._concurrency)]
        try:
            yield
        finally:
            for each in consumers:
                each.cancel()
            await asyncio.wait(consumers)

    async def _consume(self, run: Callable[[str], Awaitable[None]]) -> None:
        while True:
            task_id = await self._waiting.get()
            try:
                await run(task_id)
            except StorageUnavailable:
                pass  # already logged; the task is sent again
            except Exception:
                log.exception("task_crashed", task=task_id)
