"""The output of one run of the graph: its steps, and what its nodes say meanwhile.

LangGraph would bring both in one stream, by its mode "custom". It then runs each node in a task of its own and wakes
the graph's loop for each token, which takes a quarter of the CPU time of a turn. So what is said goes past the graph.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Generic, TypeVar

T = TypeVar("T")


class RunOutput(Generic[T]):
    """Read `merged` once. Create it in the event loop that reads it."""

    def __init__(self) -> None:
        self._waiting: deque[T] = deque()
        self._arrived = asyncio.Event()
        self._taken = asyncio.Event()

    def say(self, item: T) -> None:
        """Add an item to the output. Never waits."""
        self._waiting.append(item)
        self._arrived.set()

    async def merged(self, steps: AsyncGenerator[T, None]) -> AsyncGenerator[T, None]:
        """The `steps`, and what is said while they run, in the order of arrival. Closing it cancels the steps.

        A step begins only when all that came before is taken, so that no tool runs for a reader that has gone.
        """
        running = asyncio.create_task(self._run(steps))
        running.add_done_callback(lambda _: self._arrived.set())
        try:
            while True:
                while self._waiting:
                    yield self._waiting.popleft()
                if running.done():
                    break
                self._taken.set()
                self._arrived.clear()
                await self._arrived.wait()
            running.result()
        finally:
            await _end(running)

    async def _run(self, steps: AsyncGenerator[T, None]) -> None:
        async with aclosing(steps):
            async for step in steps:
                self._taken.clear()
                self.say(step)
                await self._taken.wait()


async def _end(task: asyncio.Task[None]) -> None:
    if not task.done():
        task.cancel()
        await asyncio.wait([task])
    if not task.cancelled():
        task.exception()  # there is nobody left to tell, and asyncio would log that nobody asked
