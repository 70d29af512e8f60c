"""Notices that a call has gone silent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Silence:
    """Calls `on_silence` when nobody has spoken for `after` seconds; never if `after` is None."""

    def __init__(self, after: float | None, on_silence: Callable[[], None]) -> None:
        self._after = after
        self._on_silence = on_silence
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, at: float = 0.0) -> None:
        """Measure the silence from now on, or from the time `at` of the loop's clock if that is later."""
        self.end()
        if self._after is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(max(at, loop.time()) + self._after, self._on_silence)

    def end(self) -> None:
        """Somebody speaks."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
