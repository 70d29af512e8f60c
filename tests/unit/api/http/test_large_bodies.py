"""Large bodies share a bounded memory."""

from __future__ import annotations

import asyncio

import pytest

from api.http.large_bodies import LargeBodies
from config.errors import ServerBusy


async def begun(bodies: LargeBodies, size: int) -> asyncio.Task[None]:
    task = asyncio.create_task(bodies.hold(size))
    await asyncio.sleep(0)
    return task


async def test_bodies_wait_in_their_order_until_there_is_memory() -> None:
    bodies = LargeBodies(10)
    await bodies.hold(6)
    large, small = await begun(bodies, 8), await begun(bodies, 1)
    assert not large.done() and not small.done()  # the small one would fit, but comes later
    bodies.release(6)
    await asyncio.gather(large, small)
    assert not (await begun(bodies, 2)).done()


async def test_a_body_that_is_larger_than_the_memory_has_it_alone() -> None:
    bodies = LargeBodies(10)
    await bodies.hold(1)
    huge = await begun(bodies, 100)
    assert not huge.done()
    bodies.release(1)
    await huge
    after = await begun(bodies, 1)
    assert not after.done()
    bodies.release(100)
    await after


async def test_who_waits_too_long_or_hangs_up_holds_nothing() -> None:
    bodies = LargeBodies(10, wait=0.01)
    await bodies.hold(10)
    with pytest.raises(ServerBusy):
        await bodies.hold(10)
    patient = LargeBodies(10, wait=60)
    await patient.hold(4)
    hangs_up, next_one = await begun(patient, 10), await begun(patient, 6)
    hangs_up.cancel()
    await asyncio.wait([hangs_up])
    await next_one  # it is the first in line now
    both = await begun(patient, 10)
    patient.release(6)
    both.cancel()  # while it waits for the other one
    patient.release(4)
    await asyncio.wait([both])
    await patient.hold(10)
    assert not (await begun(patient, 1)).done()
