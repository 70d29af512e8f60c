"""Two streams that race for the first item."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from router.hedge import raced


async def test_the_loser_is_closed_at_once_also_when_both_begin_at_the_same_time() -> None:
    begin, begun = asyncio.Event(), asyncio.Semaphore(0)
    closed: list[str] = []

    async def stream(name: str) -> AsyncGenerator[str, None]:
        try:
            begun.release()
            await begin.wait()
            yield name
            yield name
        finally:
            closed.append(name)

    async with aclosing(raced(stream("first"), lambda: stream("hedge"), after=0)) as items:
        reading = asyncio.ensure_future(anext(items))
        for _ in range(2):
            await begun.acquire()
        begin.set()
        assert await reading == "first"
        assert closed == ["hedge"]
        assert [item async for item in items] == ["first"]
    assert closed == ["hedge", "first"]
