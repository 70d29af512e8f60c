"""Stores the statistics of this process in the background, and reads those of all."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Final

from agent.statistics.counts import Counts
from agent.statistics.statistics import MINUTE, Statistics
from agent.statistics.store import Reset, StatisticsStore, Totals
from agent.storage.columns import utc_now
from config.errors import StorageUnavailable
from router.background_loop import background_loop

WRITE_INTERVAL: Final = 0.8
"""Seconds between two writes. With the time of a write, a crash loses at most a second of the statistics."""

RETRY_INTERVAL: Final = 5.0
"""Seconds until the next attempt when the database is unavailable, so that the log stays readable."""

SIGN_OF_LIFE: Final = 5.0
"""Seconds after which running turns are stored again, see `agent.statistics.store.STALE`."""

SWEEP_INTERVAL: Final = 600.0
"""Seconds between two sweeps of old rows."""


class StatisticsWriter:
    """Nothing is lost during an outage of the database: it is written afterwards."""

    def __init__(self, statistics: Statistics, store: StatisticsStore) -> None:
        self.statistics = statistics
        self._store = store
        self._writing = asyncio.Lock()
        self._written = 0.0
        self._pause = WRITE_INTERVAL

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Write in the background while this is entered, and once more at the end."""
        async with AsyncExitStack() as loops:
            loops.push_async_callback(self._write_last)
            await loops.enter_async_context(
                background_loop("statistics", self._write_if_needed, pause=lambda: self._pause)
            )
            await loops.enter_async_context(
                background_loop("statistics sweeper", self._sweep, pause=lambda: SWEEP_INTERVAL)
            )
            yield

    async def write(self) -> None:
        """Store everything now. Raises StorageUnavailable."""
        async with self._writing:  # or an older snapshot might replace a newer one
            snapshot = self.statistics.snapshot()
            await self._store.write(snapshot, utc_now())
            self.statistics.stored(snapshot)
            self._written = time.monotonic()

    async def totals(self) -> Totals:
        """The totals of all servers since the last reset, with the newest of this process. Raises as `write` does."""
        return await self._store.totals(self.statistics.snapshot(), utc_now())

    async def minutes(self, number: int) -> dict[int, Counts]:
        """The counts of the last minutes, by minute since 1970, the oldest first. Raises as `write` does."""
        last = int(utc_now().timestamp()) // MINUTE
        first = last - number + 1
        counted = await self._store.minutes(self.statistics.snapshot(), first, last)
        return {minute: counted.get(minute) or Counts() for minute in range(first, last + 1)}

    async def reset(self, caller: str) -> Reset:
        """Count from now on. Raises as `write` does."""
        await self.write()  # the totals until now are recorded from the database
        return await self._store.reset(caller, utc_now())

    async def _write_if_needed(self) -> None:
        statistics = self.statistics
        if statistics.is_stored() and not (statistics.running and time.monotonic() - self._written > SIGN_OF_LIFE):
            return
        try:
            await self.write()
        except StorageUnavailable:
            self._pause = RETRY_INTERVAL  # already logged
        else:
            self._pause = WRITE_INTERVAL

    async def _write_last(self) -> None:
        with suppress(StorageUnavailable):
            await self.write()

    async def _sweep(self) -> None:
        with suppress(StorageUnavailable):
            await self.write()  # so that the total of a quiet process does not count as that of an earlier one
            await self._store.sweep(utc_now())
