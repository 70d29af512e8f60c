"""A clock that servers synchronize through the shared store."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field


def _wall_clock_offset() -> float:
    return time.time() - time.monotonic()


@dataclass(slots=True)
class SharedClock:
    """Seconds since 1970: a monotonic clock plus an offset that `synchronize` adjusts.

    Without a shared store, the offset is that of the wall clock at start-up.
    """

    local: Callable[[], float] = time.monotonic
    offset: float = field(default_factory=_wall_clock_offset)

    def __call__(self) -> float:
        return self.local() + self.offset

    def synchronize(self, remote: float, requested: float) -> float:
        """Adjust to another clock, which showed `remote` at some time between `requested` (on this clock) and now.

        Returns the adjustment in seconds: the smallest that fits, 0 when the clocks may already agree.
        """
        adjustment = remote - min(max(remote, requested), self())
        self.offset += adjustment
        return adjustment
