"""At most so many turns run in a process; as many more wait for a moment."""

from __future__ import annotations

import asyncio

import pytest

from agent.callers.crowd import Crowd
from config.errors import ServerBusy


async def test_a_turn_waits_for_another_to_end() -> None:
    crowd = Crowd(1)
    await crowd.enter()
    waiting = asyncio.create_task(crowd.enter())
    await asyncio.sleep(0)
    assert not waiting.done()
    crowd.leave()
    await waiting


async def test_a_full_queue_refuses_at_once() -> None:
    crowd = Crowd(1, wait=60)
    await crowd.enter()
    waiting = asyncio.create_task(crowd.enter())
    await asyncio.sleep(0)
    with pytest.raises(ServerBusy):
        await crowd.enter()
    crowd.leave()
    await waiting


async def test_who_waits_too_long_or_gives_up_leaves_the_queue() -> None:
    crowd = Crowd(1, wait=0.01)
    await crowd.enter()
    for _ in range(2):  # the first leaves its place to the second
        with pytest.raises(ServerBusy):
            await crowd.enter()
    gives_up = asyncio.create_task(crowd.enter())
    await asyncio.sleep(0)
    gives_up.cancel()
    await asyncio.wait([gives_up])
    crowd.leave()
    await crowd.enter()


async def test_without_a_limit_nothing_is_counted() -> None:
    crowd = Crowd(None)
    for _ in range(1000):
        await crowd.enter()
    crowd.leave()
