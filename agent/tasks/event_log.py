"""The events of one run of a task, stored in batches while it runs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from agent.sessions.tasks import run_shielded
from agent.tasks.record import Progress
from config.errors import StorageUnavailable

FLUSH_INTERVAL: Final = 0.1
"""Seconds for which events are collected before they are stored."""

MAX_CHARACTERS: Final = 4_000_000
"""The size of the events of a run. Further text is left out; the result has all of it."""


class EventLog:
    """Follows the first `stored` events and the tool calls `steps` of earlier runs. `store` stores new ones."""

    def __init__(self, store: Callable[[Progress], Awaitable[object]], stored: int, steps: Sequence[str]) -> None:
        self._store = store
        self._stored = stored
        self._steps = list(steps)
        self._lines: list[str] = []
        self._characters = 0
        self._flushing: asyncio.Task[None] | None = None

    def add(self, line: str, *, is_text: bool = False) -> None:
        """Add an event; it is stored within the `FLUSH_INTERVAL`."""
        if is_text and self._characters > MAX_CHARACTERS:
            return
        self._characters += len(line)
        self._lines.append(line)
        self._flush_soon()

    def add_step(self, tool: str) -> None:
        """The agent calls a tool."""
        self._steps.append(tool)

    @property
    def progress(self) -> Progress:
        """What is not stored yet."""
        return Progress(self._stored + 1, list(self._lines), list(self._steps))

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
            await run_shielded(self._store_progress())

    async def _store_progress(self) -> None:
        progress = self.progress
        try:
            await self._store(progress)
        except StorageUnavailable:
            return  # already logged; the next round tries again
        self._stored = progress.last
        del self._lines[: len(progress.lines)]
