"""The steps of a call: tasks that run one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

log = structlog.get_logger(__name__)

Work = Callable[[], Awaitable[None]]


class Steps:
    """Each step begins when those before it have ended. `stop` ends those that speak, not those that only store."""

    def __init__(self) -> None:
        self._speaking: set[asyncio.Task[None]] = set()
        self._storing: set[asyncio.Task[None]] = set()

    @property
    def are_running(self) -> bool:
        return bool(self._speaking or self._storing)

    @property
    def are_speaking(self) -> bool:
        return bool(self._speaking)

    def speak(self, work: Work) -> None:
        """Run a step that may speak on the line."""
        self._run(work, self._speaking)

    def store(self, work: Work) -> None:
        """Run a step that only stores something, and is never stopped."""
        self._run(work, self._storing)

    def stop(self) -> None:
        """Let nothing more be said by the steps so far. Their turns end, down to the provider's connection."""
        for task in self._speaking:
            task.cancel()

    async def finished(self) -> None:
        """Wait until no step runs."""
        while tasks := self._speaking | self._storing:
            await asyncio.wait(tasks)

    def _run(self, work: Work, tasks: set[asyncio.Task[None]]) -> None:
        task = asyncio.create_task(_after(self._speaking | self._storing, work))
        tasks.add(task)
        task.add_done_callback(tasks.discard)


async def _after(before: set[asyncio.Task[None]], work: Work) -> None:
    if before:
        await asyncio.wait(before)
    try:
        await work()
    except Exception:
        log.exception("call_step_crashed")  # a bug is ours, and the call goes on
