from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

import agent.shielded_work
from agent.shielded_work import BackgroundWork, run_shielded


async def test_what_is_left_is_waited_for_when_the_server_stops() -> None:
    background, done = BackgroundWork(), list[str]()

    async def work() -> None:
        await asyncio.sleep(0)
        done.append("done")

    background.start(work())
    await background.aclose()
    assert done == ["done"]
    await background.aclose()


async def test_what_does_not_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent.shielded_work, "SHUTDOWN_TIMEOUT", 0)
    background = BackgroundWork()
    background.start(asyncio.sleep(3600))
    with capture_logs() as logs:
        await background.aclose()
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert logs == []


async def test_work_that_crashes_is_logged() -> None:
    async def crash() -> None:
        raise ValueError("a bug")

    background = BackgroundWork()
    with capture_logs() as logs:
        background.start(crash())
        await background.aclose()
    assert [(each["event"], str(each["exc_info"])) for each in logs] == [("background_task_crashed", "a bug")]


async def test_a_cancellation_waits_until_the_work_is_done() -> None:
    go, done = asyncio.Event(), list[str]()

    async def work() -> None:
        await go.wait()
        done.append("done")

    working = asyncio.create_task(run_shielded(work()))
    for _ in range(3):
        await asyncio.sleep(0)
        working.cancel()
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await working
    assert done == ["done"]


async def test_what_the_work_returns_or_raises_comes_through() -> None:
    async def crash() -> None:
        raise ValueError("a bug")

    assert await run_shielded(asyncio.sleep(0, "result")) == "result"
    with pytest.raises(ValueError, match="a bug"):
        await run_shielded(crash())
