"""Waiting for the next item of a stream, with a way to end the wait from outside."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TypeVar

T = TypeVar("T")


class InterruptibleWait:
    """Waits for a stream's items, one at a time, until `interrupt` ends the waiting with an error.

    `asyncio.timeout` around a generator's `yield` could cancel its consumer between two items; this cancels the task
    only while it waits here. The items may be awaited in one task after another, as a race does.
    """

    def __init__(self) -> None:
        self._task: asyncio.Task[object] | None = None
        self._error: Exception | None = None

    @property
    def is_waiting(self) -> bool:
        return self._task is not None

    def interrupt(self, error: Exception) -> None:
        """Make the current wait, or else the next one, raise `error`. The first call wins."""
        if self._error is None:
            self._error = error
            if self._task is not None:
                self._task.cancel()

    async def next(self, stream: AsyncIterator[T]) -> T | None:
        """The stream's next item, None at its end. Raises the error of `interrupt`; the stream is then cancelled."""
        self._raise_error()
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  (this is a coroutine)
        cancelling = task.cancelling()
        self._task = task
        try:
            item = await anext(stream, None)
        except asyncio.CancelledError:
            # Cancelled by `interrupt` alone: with another request besides, the cancellation goes on.
            if self._error is not None and task.uncancel() <= cancelling:
                raise self._error from None
            raise
        finally:
            self._task = None
        return item

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error
