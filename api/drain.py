"""The end of a server process: running turns may finish for a while, and are then ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

log = structlog.get_logger(__name__)


class Drain:
    """Calls `end` once a shutdown has lasted `seconds`."""

    def __init__(self, seconds: float, end: Callable[[], None]) -> None:
        self._seconds = seconds
        self._end = end
        self._callbacks: list[Callable[[], None]] = []
        self.has_begun = False

    def begin(self, then: Callable[[], None] | None = None) -> None:
        """The shutdown has begun; call `then` after `end`. The first call starts the timer."""
        if not self.has_begun:
            self.has_begun = True
            asyncio.get_running_loop().call_later(self._seconds, self._finish)
        if then is not None:
            self._callbacks.append(then)

    def _finish(self) -> None:
        log.warning("drained", seconds=self._seconds, effect="turns that still run are ended")
        self._end()
        for callback in self._callbacks:
            callback()
