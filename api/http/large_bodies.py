"""Bounds the memory of large request bodies in a process: what does not fit waits in the client's hands."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Final

from config.errors import ServerBusy

SMALL: Final = 64 * 1024
"""Bytes of a body that are never counted. uvicorn reads about as much of each request before anybody asks for it."""

WAIT: Final = 10.0
"""Seconds that a body waits for the memory at most. Its timeout does not run meanwhile."""


@dataclass(eq=False, slots=True)
class _Waiting:
    size: int
    admitted: asyncio.Future[None]


class LargeBodies:
    """Large bodies that are held at the same time have at most `limit` bytes; others wait, in their order.

    A body is not read on while it waits, so that it takes no memory here. One that is larger than the limit is admitted
    when no other is held.
    """

    def __init__(self, limit: int, *, wait: float = WAIT) -> None:
        self._limit = limit
        self._wait = wait
        self._held = 0
        self._waiting: deque[_Waiting] = deque()

    async def hold(self, size: int) -> None:
        """Wait until a body of `size` bytes may be read. Call `release` with the same size at its end.

        Raises:
            ServerBusy: there was no memory in time.
        """
        if not self._waiting and self._fits(size):
            self._held += size
            return
        waiting = _Waiting(size, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        try:
            async with asyncio.timeout(self._wait):
                await waiting.admitted
        except BaseException as exc:
            if waiting.admitted.done() and not waiting.admitted.cancelled():
                self.release(size)
            else:
                waiting.admitted.cancel()
                self._admit()
            if isinstance(exc, TimeoutError):
                raise ServerBusy("The server reads too many large requests. Try again in a moment.") from None
            raise

    def release(self, size: int) -> None:
        """A body of `size` bytes is no longer held."""
        self._held -= size
        self._admit()

    def _admit(self) -> None:
        while self._waiting:
            first = self._waiting[0]
            if not first.admitted.cancelled():
                if not self._fits(first.size):
                    return
                self._held += first.size
                first.admitted.set_result(None)
            self._waiting.popleft()

    def _fits(self, size: int) -> bool:
        return not self._held or self._held + size <= self._limit
