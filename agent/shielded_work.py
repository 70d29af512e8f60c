"""Work that a cancelled caller does not end: shielded, or in the background."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

import structlog

log = structlog.get_logger(__name__)

T = TypeVar("T")

SHUTDOWN_TIMEOUT: Final = 5.0
"""Seconds that a shutdown waits for background work before it cancels it."""


async def run_shielded(work: Coroutine[Any, Any, T]) -> T:
    """Await `work` to its end even when the caller is cancelled; the cancellation is raised afterwards."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as exc:
            if task.cancelled():
                raise
            cancelled = exc
        except Exception:
            break  # task.result() raises it below
    if cancelled is not None:
        task.exception()
        raise cancelled
    return task.result()


class BackgroundWork:
    """Runs coroutines that nobody awaits, and logs those that crash."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Run `work` in a task."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._on_done)

    async def aclose(self) -> None:
        """Wait for the running tasks, then cancel those that take too long."""
        if not self._tasks:
            return
        _, late = await asyncio.wait(self._tasks, timeout=SHUTDOWN_TIMEOUT)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    def _on_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("background_task_crashed", exc_info=error)
