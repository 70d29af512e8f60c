"""The events of one run of a task, stored in batches while it runs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, Final

from agent.shielded_work import run_shielded
from agent.tasks.record import Progress
from config.errors import ServerStopping, StorageUnavailable

FLUSH_INTERVAL: Final = 0.1
"""Seconds for which events are collected before they are stored."""

MAX_CHARACTERS: Final = 4_000_000
"""The size of the events of a run. Further text is left out; the result has all of it."""

LEFT_OUT: Final = ""
"""Takes the place of an event that is left out, so that the others keep their numbers."""


class EventLog:
    """Follows the first `stored` events and the tool calls `steps` of earlier runs.

    `store` stores new ones; it returns False if another worker has the task.
    """

    def __init__(self, store: Callable[[Progress], Awaitable[bool]], stored: int, steps: Sequence[str]) -> None:
        self._store = store
        self._stored = stored
        self._steps = list(steps)
        self._lines: list[str] = []
        self._characters = 0
        self._produced: Any = None
        self._flushing: asyncio.Task[None] | None = None
        self._storing = asyncio.Lock()

    def add(self, line: str, *, is_text: bool = False) -> None:
        """Add an event; it is stored within the `FLUSH_INTERVAL`."""
        if is_text and self._characters > MAX_CHARACTERS:
            line = LEFT_OUT
        self._characters += len(line)
        self._lines.append(line)
        self._flush_soon()

    def add_last(self, line: str) -> None:
        """Add an event after `close`. It is stored together with the end of the task."""
        self._lines.append(line)

    async def save(self, produced: Any) -> None:
        """Store at once what the turn has produced: a JSON value, with which another worker can go on.

        Raises:
            StorageUnavailable: it is not stored.
            ServerStopping: another worker has the task.
        """
        self._produced = produced
        if not await run_shielded(self._store_progress()):
            raise ServerStopping

    def add_step(self, tool: str) -> None:
        """The agent calls a tool."""
        self._steps.append(tool)

    @property
    def progress(self) -> Progress:
        """What is not stored yet."""
        return Progress(self._stored + 1, list(self._lines), list(self._steps), self._produced)

    async def close(self) -> None:
        """Stop storing. What is left is in `progress`."""
        if self._flushing is not None:
            self._flushing.cancel()
            await asyncio.wait([self._flushing])

    def _flush_soon(self) -> None:
        if self._flushing is None or self._flushing.done():
            self._flushing = asyncio.create_task(self._flush())

    async def _flush(self) -> None:
        while self._lines:
            await asyncio.sleep(FLUSH_INTERVAL)
            # A write that was cancelled in the middle might have been stored or not.
            with suppress(StorageUnavailable):  # already logged; the next round tries again
                await run_shielded(self._store_progress())

    async def _store_progress(self) -> bool:
        async with self._storing:
            progress = self.progress
            is_held = await self._store(progress)
            self._stored = progress.last
            self._produced = None
            del self._lines[: len(progress.lines)]
            return is_held
