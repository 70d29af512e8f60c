"""How late the soak's own event loop runs: it hosts the callers and the provider, whose clocks the checks read."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass, field

TICK = 0.02
"""Seconds between two looks at the clock. A delay that is shorter is not recorded."""
MAX_DELAYS = 5000


@dataclass(slots=True)
class LoopLag:
    """The last delays of the loop, each with the time of its end (seconds since 1970) and its length in seconds."""

    delays: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=MAX_DELAYS))

    async def run(self) -> None:
        """Watch the loop until cancelled."""
        while True:
            started = time.time()
            await asyncio.sleep(TICK)
            now = time.time()
            if (delay := now - started - TICK) > TICK:
                self.delays.append((now, delay))

    def between(self, start: float, end: float) -> float:
        """Seconds that the loop was late between two moments."""
        return sum(min(delay, at - start) for at, delay in self.delays if start < at <= end)
