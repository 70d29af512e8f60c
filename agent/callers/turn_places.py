"""Bounds how many turns a process runs at once, with a short queue."""

from __future__ import annotations

import asyncio
from typing import Final

from config.errors import ServerBusy

WAIT: Final = 1.0
"""Seconds that a turn waits in the queue at most. Somebody is on the phone."""


class TurnPlaces:
    """At most `limit` turns run, and at most as many wait; None does not count them."""

    def __init__(self, limit: int | None, *, wait: float = WAIT) -> None:
        self._free = asyncio.Semaphore(limit) if limit is not None else None
        self._most_waiting = limit or 0
        self._wait = wait
        self._waiting = 0

    @property
    def is_full(self) -> bool:
        """Whether a turn would have to wait."""
        return self._free is not None and self._free.locked()

    async def enter(self) -> None:
        """Wait until another turn may run. Raises ServerBusy."""
        if self._free is None:
            return
        if not self._free.locked():
            await self._free.acquire()  # without a pause
            return
        if self._waiting >= self._most_waiting:
            raise ServerBusy
        self._waiting += 1
        try:
            async with asyncio.timeout(self._wait):
                await self._free.acquire()
        except TimeoutError:
            raise ServerBusy from None
        finally:
            self._waiting -= 1

    def leave(self) -> None:
        """A turn that entered has ended."""
        if self._free is not None:
            self._free.release()
