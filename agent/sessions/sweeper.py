"""Removes what is left of sessions that have expired or were deleted: nobody sees them any more, but they take room."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final

import structlog

from agent.sessions.store import SessionStore
from agent.sessions.thread import Threads
from config.errors import StorageUnavailable

log = structlog.get_logger(__name__)

INTERVAL: Final = 60.0
"""Seconds between two sweeps."""

BATCH: Final = 100


class Sweeper:
    """Several servers may sweep at once: what one has removed the other does not find."""

    def __init__(
        self, store: SessionStore, threads: Threads, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._store = store
        self._threads = threads
        self._sleep = sleep

    async def sweep(self) -> int:
        """Remove all that is over; returns how many sessions that were."""
        removed = 0
        while batch := await self._store.expired(BATCH):
            for record in batch:
                await self._threads.delete(record.thread_id)
            await self._store.remove(batch)
            removed += len(batch)
        return removed

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Sweep in the background while this is entered."""
        sweeping = asyncio.create_task(self._sweep_for_ever(), name="session sweeper")
        try:
            yield
        finally:
            sweeping.cancel()
            with suppress(asyncio.CancelledError):
                await sweeping

    async def _sweep_for_ever(self) -> None:
        while True:
            await self._sleep(INTERVAL)
            try:
                if removed := await self.sweep():
                    log.info("sessions_removed", count=removed)
            except StorageUnavailable:
                continue  # logged where it was noticed
            except Exception:
                log.exception("sweep_crashed")
