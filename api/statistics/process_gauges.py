"""What a process measures of itself: how late its event loop is, and its memory."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from router.background_loop import background_loop

INTERVAL: Final = 0.25
"""Seconds between two measurements of the event loop."""

SAMPLES: Final = 240
"""Measurements that are kept: those of a minute, so that no scrape misses one."""

STATM: Final = Path("/proc/self/statm")


class LoopLag:
    """How much later than asked the event loop wakes a task up. All streams of the process are as late."""

    def __init__(self) -> None:
        self._lags: deque[float] = deque([0.0], maxlen=SAMPLES)
        self._due = 0.0

    @property
    def longest(self) -> float:
        """The longest lag of the last minute, in seconds."""
        return max(self._lags)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Measure in the background while this is entered."""
        async with background_loop("loop lag", self._measure, pause=self._pause):
            yield

    def _pause(self) -> float:
        self._due = asyncio.get_running_loop().time() + INTERVAL
        return INTERVAL

    async def _measure(self) -> None:
        self._lags.append(max(0.0, asyncio.get_running_loop().time() - self._due))


def resident_memory() -> int | None:
    """The process's memory in bytes; None where the system has no /proc. Call it in a thread: it reads a file."""
    try:
        pages = STATM.read_bytes().split()[1]
    except OSError:
        return None
    return int(pages) * os.sysconf("SC_PAGE_SIZE")
