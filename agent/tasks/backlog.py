"""How many background tasks wait and run, on all servers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from agent.tasks.store import Backlog, TaskStore
from config.errors import StorageUnavailable
from router.background_loop import background_loop

INTERVAL: Final = 5.0
"""Seconds between two looks at the database."""


class TaskBacklog:
    """`latest` is what the database said last; None before the first look, and during an outage."""

    def __init__(self, store: TaskStore) -> None:
        self._store = store
        self.latest: Backlog | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Look in the background while this is entered. The first look is at once."""
        async with background_loop("task backlog", self._look, pause=lambda: INTERVAL, at_once=True):
            yield

    async def _look(self) -> None:
        try:
            self.latest = await self._store.backlog()
        except StorageUnavailable:
            self.latest = None  # already logged
