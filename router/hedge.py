"""Race a second deployment when the first token is late.

The first token wins, and the loser's line is closed at once.
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
    """Bounds what hedging costs: at most `share` of the turns are hedged."""

    turns: int = 0
    hedged: int = 0

    def spend(self, share: float) -> bool:
        """Take one hedge out of the budget; False when there is none."""
        if self.hedged + 1 > self.turns * share:
            return False
        self.hedged += 1
        return True


async def raced(
    first: AsyncGenerator[Item, None], late: Callable[[], AsyncGenerator[Item, None] | None], after: float
) -> AsyncGenerator[Item, None]:
    """The items of `first`, or of what `late()` gives when `first` has none within `after` seconds and is beaten to it.

    `late` may give None: then `first` is waited for. An attempt that fails loses; when both do, what `first` raised is
    raised. Closing this closes both.
    """
    async with AsyncExitStack() as lines:
        lines.push_async_callback(first.aclose)
        waiting = [(first, asyncio.ensure_future(anext(first, None)))]
        lines.push_async_callback(_stop, waiting[0][1])
        await asyncio.wait([waiting[0][1]], timeout=after)
        if not waiting[0][1].done() and (second := late()) is not None:
            lines.push_async_callback(second.aclose)
            waiting.append((second, asyncio.ensure_future(anext(second, None))))
            lines.push_async_callback(_stop, waiting[1][1])
        winner, item = await _first_token(waiting)
        for line, task in waiting:
            if line is not winner:
                await _stop(task)  # which ends the line too: it is cancelled where it waits
        while item is not None:
            yield item
            item = await anext(winner, None)


async def _first_token(
    waiting: Sequence[tuple[AsyncGenerator[Item, None], asyncio.Future[Item | None]]],
) -> tuple[AsyncGenerator[Item, None], Item | None]:
    pending = {task for _, task in waiting}
    while True:
        done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        for line, task in waiting:
            if task in done and not isinstance(task.exception(), AttemptError | RequestError):
                return line, task.result()
        if not pending:
            waiting[0][1].result()  # raises


async def _stop(task: asyncio.Future[Item | None]) -> None:
    task.cancel()
    await asyncio.wait([task])
    if not task.cancelled():
        task.exception()  # it is read, so that nobody is warned of it
