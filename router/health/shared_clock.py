"""The time that servers agree on when they share what they learn."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field


def _wall_clock_offset() -> float:
    return time.time() - time.monotonic()


@dataclass(slots=True)
class SharedClock:
    """Seconds since 1970, counted by a clock that is never set back and moved by what the shared store's clock says.

    Alone, a server goes by its own wall clock as it stood at the start.
    """

    local: Callable[[], float] = time.monotonic
    offset: float = field(default_factory=_wall_clock_offset)

    def __call__(self) -> float:
        return self.local() + self.offset

    def agree(self, now: float, asked: float) -> float:
        """Take over that another clock showed `now`, at some time between `asked` (on this one) and this moment.

        Returns by how many seconds that moves this clock: as few as can be, and none while the two may agree.
        """
        moved = now - min(max(now, asked), self())
        self.offset += moved
        return moved
