"""Hedging: starts a second attempt when the first token is late.

The attempt with the first token wins; the other one is cancelled at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TypeVar

from config.errors import AttemptError, RequestError

Item = TypeVar("Item")


@dataclass(slots=True)
class HedgeBudget:
    """Limits the cost of hedging: at most a given share of all turns is hedged."""

    turns: int = 0
    hedged: int = 0

    def spend(self, share: float) -> bool:
        """Take one hedge from the budget; False when the budget (`share` of all turns) is used up."""
        if self.hedged + 1 > self.turns * share:
            return False
        self.hedged += 1
        return True


async def raced(
    first: AsyncGenerator[Item, None], hedge: Callable[[], AsyncGenerator[Item, None] | None], after: float
) -> AsyncGenerator[Item, None]:
    """The items of whichever stream yields one first: `first`, or the stream of `hedge()`.

    `hedge` is called when `first` yields nothing within `after` seconds; it may return None for no hedge. A stream that
    raises loses; when both raise, the error of `first` is raised. Closing the generator closes both streams.
    """
    async with AsyncExitStack() as streams:
        streams.push_async_callback(first.aclose)
        waiting = [(first, asyncio.ensure_future(anext(first, None)))]
        streams.push_async_callback(_stop, waiting[0][1])
        await asyncio.wait([waiting[0][1]], timeout=after)
        if not waiting[0][1].done() and (second := hedge()) is not None:
            streams.push_async_callback(second.aclose)
            waiting.append((second, asyncio.ensure_future(anext(second, None))))
            streams.push_async_callback(_stop, waiting[1][1])
        winner, item = await _first_token(waiting)
        for stream, task in waiting:
            if stream is not winner:
                await _stop(task)
                await stream.aclose()  # if the task was done, it did not end the stream
        while item is not None:
            yield item
            item = await anext(winner, None)


async def _first_token(
    waiting: Sequence[tuple[AsyncGenerator[Item, None], asyncio.Future[Item | None]]],
) -> tuple[AsyncGenerator[Item, None], Item | None]:
    pending = {task for _, task in waiting}
    while True:
        done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        for stream, task in waiting:
            if task in done and not isinstance(task.exception(), AttemptError | RequestError):
                return stream, task.result()
        if not pending:
            waiting[0][1].result()  # raises


async def _stop(task: asyncio.Future[Item | None]) -> None:
    task.cancel()
    await asyncio.wait([task])
    if not task.cancelled():
        task.exception()  # retrieved, so that asyncio does not warn about it
