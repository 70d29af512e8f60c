"""Waiting for a provider's next chunk, but not for ever."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TypeVar

T = TypeVar("T")


class ChunkTimeout:
    """`asyncio.timeout` for the chunks of one stream: one timer for all of them, where it would make one for each.

    The chunks may be waited for in one task after another, as a race does, but in one at a time.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._waiting: asyncio.Task[object] | None = None
        self._until = 0.0
        self._over = False

    async def next(self, stream: AsyncIterator[T], seconds: float) -> T | None:
        """The stream's next item, None at its end.

        Raises:
            TimeoutError: it did not come within `seconds`; the stream was cancelled.
        """
        self._waiting = task = asyncio.current_task()
        assert task is not None  # noqa: S101  (this is a coroutine)
        cancelling = task.cancelling()
        self._wait_until(self._loop.time() + seconds)
        try:
            return await anext(stream, None)
        except asyncio.CancelledError:
            if self._over and task.uncancel() <= cancelling:
                raise TimeoutError from None
            raise
        finally:
            self._waiting = None

    def close(self) -> None:
        """Drop the timer."""
        if self._timer is not None:
            self._timer.cancel()

    def _wait_until(self, until: float) -> None:
        self._until = until
        if self._timer is None or until < self._timer.when():
            self.close()
            self._timer = self._loop.call_at(until, self._on_time)

    def _on_time(self) -> None:
        self._timer = None
        if self._waiting is None:
            return
        if self._loop.time() < self._until:  # something came meanwhile
            self._wait_until(self._until)
        else:
            self._over = True
            self._waiting.cancel()
