"""The limits of a caller over all servers: the same suite in the memory of a process and in a real Redis."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from agent.callers.process_usage import ProcessUsage
from agent.callers.redis_usage import RedisUsage
from agent.callers.usage import CallerUsage
from agent.callers.windows import Window
from config.callers.caller import Caller, token_hash
from tests.support.redis_server import redis_server

NOBODY = Caller("a", token_hash("a"))
PATIENCE = 10.0
"""Seconds, for a busy machine."""


@pytest.fixture(params=["memory", "redis"])
async def servers(request: pytest.FixtureRequest) -> AsyncIterator[Sequence[CallerUsage]]:
    """The usage as two servers see it; in memory there is only one server."""
    if request.param == "memory":
        yield [own := ProcessUsage(), own]
        return
    async with redis_server() as server, AsyncExitStack() as running:
        both = [RedisUsage(server.url, timeout=PATIENCE), RedisUsage(server.url, timeout=PATIENCE)]
        for each in both:
            await running.enter_async_context(each.running())
        yield both


async def refused_by(usage: CallerUsage, caller: Caller, turn: str = "t") -> str | None:
    begin = await usage.begin(caller, turn)
    assert (0 < begin.wait <= 120) if begin.refused_by else not begin.wait
    return begin.refused_by


async def until_admitted(usage: CallerUsage, caller: Caller, turn: str) -> None:
    async with asyncio.timeout(PATIENCE):
        while await refused_by(usage, caller, turn):
            await asyncio.sleep(0.01)


async def test_requests_count_over_all_servers_and_refused_ones_do_not(servers: Sequence[CallerUsage]) -> None:
    caller = replace(NOBODY, requests_per_minute=3)
    found = [await refused_by(servers[number % 2], caller, str(number)) for number in range(6)]
    assert found == [None] * 3 + ["requests_per_minute"] * 3
    assert await refused_by(servers[0], replace(caller, name="b")) is None


async def test_requests_at_the_same_time_are_not_more_than_the_limit(servers: Sequence[CallerUsage]) -> None:
    caller = replace(NOBODY, requests_per_minute=5)
    found = await asyncio.gather(*(refused_by(servers[number % 2], caller, str(number)) for number in range(20)))
    assert found.count(None) == 5


async def test_a_caller_is_told_how_it_stands(servers: Sequence[CallerUsage]) -> None:
    one, other = servers
    caller = replace(NOBODY, requests_per_minute=3, tokens_per_minute=100)
    one.count_tokens("a", 30)
    told = (await one.begin(caller, "1")).standings
    requests, tokens = told["requests_per_minute"], told["tokens_per_minute"]
    assert (requests.limit, requests.left, tokens.limit, tokens.left) == (3, 2, 100, 70)
    assert 0 < requests.reset <= 120 and 0 < tokens.reset <= 120
    for left in (1, 0, 0):
        told = (await other.begin(caller, "2")).standings
        assert told["requests_per_minute"].left == left


async def test_tokens_refuse_the_next_turn_once_they_are_used_up(servers: Sequence[CallerUsage]) -> None:
    one, other = servers
    caller = replace(NOBODY, tokens_per_minute=100)
    assert await refused_by(one, caller, "1") is None
    one.count_tokens("a", 99)
    assert await refused_by(one, caller, "2") is None
    one.count_tokens("a", 1)
    assert await refused_by(one, caller, "3") == "tokens_per_minute"
    assert await refused_by(other, caller, "4") == "tokens_per_minute"
    assert await refused_by(other, replace(caller, tokens_per_minute=101), "5") is None


async def test_other_servers_learn_soon_of_tokens(servers: Sequence[CallerUsage]) -> None:
    one, other = servers
    caller = replace(NOBODY, tokens_per_minute=10)
    one.count_tokens("a", 10)
    async with asyncio.timeout(PATIENCE):
        while await refused_by(other, caller) is None:
            await asyncio.sleep(0.01)


async def test_turns_run_in_parallel_up_to_the_limit_over_all_servers(servers: Sequence[CallerUsage]) -> None:
    one, other = servers
    caller = replace(NOBODY, parallel_turns=2)
    assert await refused_by(one, caller, "1") is None
    assert await refused_by(other, caller, "2") is None
    for usage in servers:
        assert await refused_by(usage, caller, "3") == "parallel_turns"
    one.end("a", "1")
    assert await refused_by(one, caller, "3") is None
    other.end("a", "2")
    await until_admitted(one, caller, "4")
    assert await refused_by(other, caller, "5") == "parallel_turns"


async def test_a_turn_that_another_limit_refuses_takes_no_place(servers: Sequence[CallerUsage]) -> None:
    caller = replace(NOBODY, parallel_turns=1, requests_per_minute=1)
    assert await refused_by(servers[0], caller, "1") is None
    servers[0].end("a", "1")
    assert await refused_by(servers[0], caller, "2") == "requests_per_minute"
    await until_admitted(servers[1], replace(caller, requests_per_minute=None), "3")


async def test_a_turn_of_a_server_that_died_stops_counting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.callers.redis_turns.LEASE", 0.2)
    caller = replace(NOBODY, parallel_turns=1)
    async with redis_server() as server:
        died, other = RedisUsage(server.url, timeout=PATIENCE), RedisUsage(server.url, timeout=PATIENCE)
        async with other.running():
            assert await refused_by(died, caller, "1") is None
            assert await refused_by(other, caller, "2") == "parallel_turns"
            await until_admitted(other, caller, "3")
        async with died.running():
            pass  # closes its connection


async def test_a_turn_of_a_server_that_lives_is_renewed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.callers.redis_turns.LEASE", 1.0)
    monkeypatch.setattr("agent.callers.redis_usage.RENEWAL", 0.05)
    caller = replace(NOBODY, parallel_turns=1)
    async with redis_server() as server:
        usage = RedisUsage(server.url, timeout=PATIENCE)
        async with usage.running():
            assert await refused_by(usage, caller, "1") is None
            began = time.monotonic()
            while time.monotonic() - began < 1.3:
                assert await refused_by(usage, caller, "2") == "parallel_turns"
                usage.count_tokens("b", 1)  # news of others do not keep it from renewing
                await asyncio.sleep(0.02)


async def test_without_redis_each_server_counts_alone_and_says_so_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.callers.redis_usage.PAUSE", 0.01)
    caller = replace(NOBODY, requests_per_minute=2, parallel_turns=2)
    async with redis_server() as server, AsyncExitStack() as running:
        one, other = RedisUsage(server.url), RedisUsage(server.url)
        for each in (one, other):
            await running.enter_async_context(each.running())
        await server.kill()
        with capture_logs() as logs:
            for usage in (one, other):
                found = []
                for number in range(3):
                    found.append(await refused_by(usage, caller, str(number)))
                    usage.end("a", str(number))
                assert found == [None, None, "requests_per_minute"]
        assert [each["event"] for each in logs] == ["caller_limits_not_shared"] * 2
        await server.start()
        with capture_logs() as logs:
            async with asyncio.timeout(PATIENCE):
                while [each["event"] for each in logs] != ["caller_limits_recovered"] * 2:
                    for usage in (one, other):
                        await usage.begin(replace(NOBODY, parallel_turns=1000), "x")
                    await asyncio.sleep(0.01)
        again = replace(caller, name="b")
        found = [await refused_by(usage, again, str(number)) for number, usage in enumerate((one, other, one))]
        assert found == [None, None, "parallel_turns"]


@pytest.mark.parametrize(
    ("window", "used", "limit", "wait"),
    [
        (Window(0, 0, 0, 0), 0, 1, 0),
        (Window(0, 0, 10, 90), 10, 10, 30),  # nothing fades before the minute is over
        (Window(10, 45, 0, 105), 7, 8, 0),  # a quarter has faded
        (Window(10, 45, 0, 105), 7, 5, 15),
        (Window(10, 30, 10, 90), 15, 12, 18),
        (Window(10, 30, 20, 90), 25, 10, 60),
    ],
)
def test_a_window_slides(window: Window, used: int, limit: int, wait: float) -> None:
    assert window.used == used
    assert window.wait(limit) == pytest.approx(wait, abs=0.01)
