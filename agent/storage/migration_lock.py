"""Waits for the lock that one process holds while it creates or migrates the tables."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

log = structlog.get_logger(__name__)

POLL_INTERVAL: Final = 0.05
"""Seconds between two attempts to acquire the lock."""

TryAcquire = Callable[[], Awaitable[bool]]
"""Acquires the lock if it is free, without waiting; returns whether it did."""


async def acquire(try_acquire: TryAcquire, database: str) -> None:
    """Wait until the lock is acquired. A wait is logged once."""
    logged = False
    while not await try_acquire():
        if not logged:
            log.info(
                "waiting_for_migration", database=database, reason="another process creates or migrates its tables"
            )
            logged = True
        await asyncio.sleep(POLL_INTERVAL)
