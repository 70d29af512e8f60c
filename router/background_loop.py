"""Background polling: a task that repeats one piece of work until it is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

import structlog

log = structlog.get_logger(__name__)

CRASH_PAUSE: Final = 1.0
"""Minimum seconds between a crash and the next round, so that a bug does not flood the log."""


@asynccontextmanager
async def background_loop(
    name: str, work: Callable[[], Awaitable[object]], *, pause: Callable[[], float], at_once: bool = False
) -> AsyncIterator[None]:
    """Repeat `work` in a task called `name` while the context is open; leaving it cancels the task and waits for it.

    Each round sleeps for `pause()` seconds, then awaits `work()`; the first one does not sleep if `at_once`. A round
    that crashes is logged and does not end the loop.
    """
    task = asyncio.create_task(_repeat(name, work, pause, at_once), name=name)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _repeat(name: str, work: Callable[[], Awaitable[object]], pause: Callable[[], float], at_once: bool) -> None:
    crashed = False
    while True:
        if not at_once:
            await asyncio.sleep(max(pause(), CRASH_PAUSE) if crashed else pause())
        at_once = crashed = False
        try:
            await work()
        except Exception:
            crashed = True
            log.exception("background_loop_crashed", loop=name)
        raise_lost_cancellation()


def raise_lost_cancellation() -> None:
    """Raise CancelledError if the current task was cancelled but went on.

    `asyncio.wait_for`, which redis-py uses, can lose a cancellation: https://github.com/python/cpython/issues/86296
    """
    if (task := asyncio.current_task()) is not None and task.cancelling():
        raise asyncio.CancelledError
