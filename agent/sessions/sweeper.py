"""Deletes expired and deleted sessions together with their checkpoints."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Final

from agent.sessions.store import SessionStore
from agent.sessions.threads import Threads
from agent.storage.sweeping import sweeping

BATCH: Final = 100


class Sweeper:
    def __init__(self, store: SessionStore, threads: Threads) -> None:
        self._store = store
        self._threads = threads

    def running(self) -> AbstractAsyncContextManager[None]:
        """Sweep in the background while this is entered."""
        return sweeping("session sweeper", self.sweep, "sessions_removed")

    async def sweep(self) -> int:
        """Delete all sessions that are expired or deleted; returns their number."""
        removed = 0
        while batch := await self._store.expired(BATCH):
            for record in batch:
                await self._threads.delete(record.thread_id)
            await self._store.remove(batch)
            removed += len(batch)
        return removed
