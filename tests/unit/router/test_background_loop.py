from __future__ import annotations

import asyncio
from contextlib import nullcontext, suppress

import pytest
from structlog.testing import capture_logs

from router.background_loop import CRASH_PAUSE, background_loop
from tests.support.virtual_clock import run_virtually


class Work:
    """Records when it runs; raises `error` when there is one."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.error: Exception | None = None

    async def __call__(self) -> None:
        self.times.append(asyncio.get_running_loop().time())
        if self.error:
            raise self.error


def test_the_work_runs_after_each_pause_until_the_context_is_left() -> None:
    async def scenario() -> list[float]:
        work, pauses = Work(), iter([0.0, 2.0, 3.0, 100.0])
        async with background_loop("work", work, pause=lambda: next(pauses)):
            await asyncio.sleep(10)
        await asyncio.sleep(1000)
        return work.times

    assert run_virtually(scenario()) == [0, 2, 5]


def test_the_first_round_at_once_does_not_pause() -> None:
    async def scenario() -> list[float]:
        work = Work()
        async with background_loop("work", work, pause=lambda: 2.0, at_once=True):
            await asyncio.sleep(5)
        return work.times

    assert run_virtually(scenario()) == [0, 2, 4]


def test_a_crash_is_logged_and_followed_by_the_next_round() -> None:
    async def scenario() -> list[float]:
        work = Work()
        work.error = ValueError("a bug")
        async with background_loop("work", work, pause=lambda: 0.25):
            await asyncio.sleep(0.3)
            work.error = None
            await asyncio.sleep(CRASH_PAUSE + 0.3)
        return work.times

    with capture_logs() as logs:
        times = run_virtually(scenario())
    assert times == [0.25, 0.25 + CRASH_PAUSE, 0.5 + CRASH_PAUSE]
    assert [(each["event"], each["loop"], each["exc_info"]) for each in logs] == [
        ("background_loop_crashed", "work", True)
    ]


def test_leaving_cancels_the_work_and_waits_for_its_end() -> None:
    ended: list[str] = []

    async def work() -> None:
        try:
            await asyncio.sleep(1000)
        finally:
            await asyncio.sleep(1)
            ended.append("ended")

    async def scenario() -> set[asyncio.Task[object]]:
        async with background_loop("work", work, pause=lambda: 0.0):
            await asyncio.sleep(1)
        return asyncio.all_tasks()

    assert len(run_virtually(scenario())) == 1
    assert ended == ["ended"]


def test_a_cancellation_of_the_owner_while_it_waits_for_the_end_is_raised() -> None:
    async def work() -> None:
        try:
            await asyncio.sleep(1000)
        finally:
            await asyncio.sleep(10)

    async def owner() -> None:
        async with background_loop("work", work, pause=lambda: 0.0):
            await asyncio.sleep(1)

    async def scenario() -> None:
        task = asyncio.create_task(owner())
        await asyncio.sleep(5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run_virtually(scenario())


def test_work_that_loses_a_cancellation_ends_the_loop_all_the_same() -> None:
    rounds: list[int] = []

    async def work() -> None:
        rounds.append(1)
        with suppress(asyncio.CancelledError) if len(rounds) == 1 else nullcontext():
            await asyncio.sleep(1000)

    async def scenario() -> None:
        async with asyncio.timeout(60):
            async with background_loop("work", work, pause=lambda: 0.0):
                await asyncio.sleep(1)

    run_virtually(scenario())
