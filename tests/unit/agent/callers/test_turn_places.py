"""At most so many turns run in a process; as many more wait for a moment."""

from __future__ import annotations

import asyncio

import pytest

from agent.callers.turn_places import TurnPlaces
from config.errors import ServerBusy


async def test_a_turn_waits_for_another_to_end() -> None:
    places = TurnPlaces(1)
    await places.enter()
    waiting = asyncio.create_task(places.enter())
    await asyncio.sleep(0)
    assert not waiting.done()
    places.leave()
    await waiting


async def test_a_full_queue_refuses_at_once() -> None:
    places = TurnPlaces(1, wait=60)
    await places.enter()
    waiting = asyncio.create_task(places.enter())
    await asyncio.sleep(0)
    with pytest.raises(ServerBusy):
        await places.enter()
    places.leave()
    await waiting


async def test_who_waits_too_long_or_gives_up_leaves_the_queue() -> None:
    places = TurnPlaces(1, wait=0.01)
    await places.enter()
    for _ in range(2):  # the first leaves its place to the second
        with pytest.raises(ServerBusy):
            await places.enter()
    gives_up = asyncio.create_task(places.enter())
    await asyncio.sleep(0)
    gives_up.cancel()
    await asyncio.wait([gives_up])
    places.leave()
    await places.enter()


async def test_without_a_limit_nothing_is_counted() -> None:
    places = TurnPlaces(None)
    for _ in range(1000):
        await places.enter()
    places.leave()
