"""Deletes what has expired, in the background. Several servers may sweep at the same time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Final

import structlog

from config.errors import StorageUnavailable
from router.background_loop import background_loop

log = structlog.get_logger(__name__)

INTERVAL: Final = 60.0
"""Seconds between two sweeps."""


def sweeping(name: str, sweep: Callable[[], Awaitable[int]], event: str) -> AbstractAsyncContextManager[None]:
    """Call `sweep` again and again while this is entered, and log as `event` how many it says that it has deleted."""

    async def sweep_and_log() -> None:
        try:
            removed = await sweep()
        except StorageUnavailable:
            return  # already logged
        if removed:
            log.info(event, count=removed)

    return background_loop(name, sweep_and_log, pause=lambda: INTERVAL)
