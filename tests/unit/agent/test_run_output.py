import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

import pytest

from agent.run_output import RunOutput

Steps = AsyncGenerator[str, None]


async def run(say: Callable[[str], None], log: list[str]) -> Steps:
    """Two steps; in each a node says two words."""
    for step in ("one", "two"):
        try:
            log.append(f"{step} begins")
            say(f"{step}: a")
            await asyncio.sleep(0)
            say(f"{step}: b")
            yield step
        finally:
            log.append(f"{step} ended")


async def test_what_is_said_comes_before_the_step_that_says_it() -> None:
    output = RunOutput[str]()
    async with aclosing(output.merged(run(output.say, []))) as merged:
        assert [each async for each in merged] == ["one: a", "one: b", "one", "two: a", "two: b", "two"]


async def test_a_step_waits_until_what_came_before_is_taken() -> None:
    output, log = RunOutput[str](), list[str]()
    async with aclosing(output.merged(run(output.say, log))) as merged:
        assert [await anext(merged) for _ in range(3)] == ["one: a", "one: b", "one"]
        for _ in range(10):
            await asyncio.sleep(0)
        assert log == ["one begins"]
        assert await anext(merged) == "two: a"


async def test_closing_cancels_the_step_that_runs() -> None:
    output, log = RunOutput[str](), list[str]()

    async def endless() -> Steps:
        try:
            output.say("hello")
            await asyncio.Event().wait()
            yield "never"
        finally:
            await asyncio.sleep(0)
            log.append("closed")

    async with aclosing(output.merged(endless())) as merged:
        assert await anext(merged) == "hello"
    assert log == ["closed"]


async def test_a_cancelled_reader_cancels_the_step_and_is_cancelled() -> None:
    output, log = RunOutput[str](), list[str]()

    async def endless() -> Steps:
        try:
            await asyncio.Event().wait()
            yield "never"
        finally:
            log.append("closed")

    async def read() -> None:
        async with aclosing(output.merged(endless())) as merged:
            await anext(merged)

    reader = asyncio.create_task(read())
    for _ in range(5):
        await asyncio.sleep(0)
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    assert log == ["closed"]


async def test_an_error_of_a_step_comes_after_what_was_said() -> None:
    output = RunOutput[str]()

    async def failing() -> Steps:
        output.say("hello")
        yield "one"
        output.say("and then")
        raise ValueError("broken")

    read: list[str] = []
    with pytest.raises(ValueError, match="broken"):
        async with aclosing(output.merged(failing())) as merged:
            async for each in merged:
                read.append(each)
    assert read == ["hello", "one", "and then"]


async def test_an_error_that_comes_while_it_is_closed_is_not_raised() -> None:
    output = RunOutput[str]()

    async def bad_end() -> Steps:
        try:
            output.say("hello")
            await asyncio.Event().wait()
            yield "never"
        finally:
            raise ValueError("broken")

    async with aclosing(output.merged(bad_end())) as merged:
        assert await anext(merged) == "hello"
