"""Waiting for a lock that all processes on one database see, while tables are made or changed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

log = structlog.get_logger(__name__)

LOOK: Final = 0.05
"""Seconds between two attempts."""

Attempt = Callable[[], Awaitable[bool]]
"""Takes the lock if it is free, and returns whether it did; never waits for it."""


async def take(attempt: Attempt, database: str) -> None:
    """Wait until `attempt` succeeds; the log says so once when it has to wait."""
    told = False
    while not await attempt():
        if not told:
            log.info("waiting_for_set_up", database=database, why="another process makes or changes its tables")
            told = True
        await asyncio.sleep(LOOK)
