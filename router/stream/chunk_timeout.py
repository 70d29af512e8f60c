"""Bounds the wait for a provider's next chunk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TypeVar

from router.stream.interruptible_wait import InterruptibleWait

T = TypeVar("T")


class ChunkTimeout:
    """`asyncio.timeout` for the chunks of one stream, with one timer for all of them instead of one for each."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._wait = InterruptibleWait()
        self._timer: asyncio.TimerHandle | None = None
        self._until = 0.0

    async def next(self, stream: AsyncIterator[T], seconds: float) -> T | None:
        """The stream's next item, None at its end.

        Raises:
            TimeoutError: it did not come within `seconds`; the stream was cancelled.
        """
        self._until = self._loop.time() + seconds
        if self._timer is None or self._until < self._timer.when():
            self._start_timer()
        return await self._wait.next(stream)

    def close(self) -> None:
        """Drop the timer."""
        if self._timer is not None:
            self._timer.cancel()

    def _start_timer(self) -> None:
        self.close()
        self._timer = self._loop.call_at(self._until, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        if self._loop.time() < self._until:  # a chunk came in the meantime
            self._start_timer()
        elif self._wait.is_waiting:
            self._wait.interrupt(TimeoutError())
