"""Deletes expired and deleted sessions together with their checkpoints."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Final

import structlog

from agent.sessions.store import SessionStore
from agent.sessions.threads import Threads
from config.errors import StorageUnavailable
from router.background_loop import background_loop

log = structlog.get_logger(__name__)

INTERVAL: Final = 60.0
"""Seconds between two sweeps."""

BATCH: Final = 100


class Sweeper:
    """Several servers may sweep at the same time."""

    def __init__(self, store: SessionStore, threads: Threads) -> None:
        self._store = store
        self._threads = threads

    def running(self) -> AbstractAsyncContextManager[None]:
        """Sweep in the background while this is entered."""
        return background_loop("session sweeper", self._sweep_and_log, pause=lambda: INTERVAL)

    async def sweep(self) -> int:
        """Delete all sessions that are expired or deleted; returns their number."""
        removed = 0
        while batch := await self._store.expired(BATCH):
            for record in batch:
                await self._threads.delete(record.thread_id)
            await self._store.remove(batch)
            removed += len(batch)
        return removed

    async def _sweep_and_log(self) -> None:
        try:
            removed = await self.sweep()
        except StorageUnavailable:
            return  # already logged
        if removed:
            log.info("sessions_removed", count=removed)
