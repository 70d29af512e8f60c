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

    @property
    def has_begun(self) -> bool:
        return bool(self._callbacks)

    def begin(self, then: Callable[[], None]) -> None:
        """The shutdown has begun; call `then` after `end`. Each connection says so, and the first starts the timer."""
        if not self._callbacks:
            asyncio.get_running_loop().call_later(self._seconds, self._finish)
        self._callbacks.append(then)

    def _finish(self) -> None:
        log.warning("drained", seconds=self._seconds, effect="turns that still run are ended")
        self._end()
        for then in self._callbacks:
            then()
