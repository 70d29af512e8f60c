"""Words that processes pass to each other about sessions: within one process, and through a real Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

import agent.sessions.lifespan
from agent.events import TurnFailed
from agent.sessions.events import SessionEnded
from agent.sessions.redis_signals import CHANNEL, RedisSignals
from agent.sessions.signals import Signals
from config.profile.agent_file import AgentProfile
from tests.contract.conftest import OpenDatabase
from tests.support.redis_server import RedisServer, redis_server
from tests.support.session_rig import SESSION, USER, SessionRig, eventually, queries, session_rig

PROFILE = AgentProfile("Be kind.", tools=())


@pytest.fixture
async def redis() -> AsyncIterator[RedisServer]:
    async with redis_server() as server:
        yield server


@pytest.fixture(params=["memory", "redis"])
async def signals(request: pytest.FixtureRequest) -> AsyncIterator[Signals]:
    if request.param == "memory":
        yield Signals()
        return
    async with redis_server() as server:
        signals = RedisSignals(server.url)
        async with signals.running():
            yield signals


# Within the process: the same for both


async def test_who_listens_hears_the_word_before_it_is_even_sent_on(signals: Signals) -> None:
    heard: list[str] = []
    with signals.subscribe("a", lambda: heard.append("first")), signals.subscribe("a", lambda: heard.append("second")):
        await signals.publish("b")
        assert heard == []
        await signals.publish("a")
        assert heard == ["first", "second"]


async def test_who_does_not_listen_any_more_hears_nothing(signals: Signals) -> None:
    heard: list[str] = []
    with signals.subscribe("a", lambda: heard.append("left")):
        pass
    with signals.subscribe("a", lambda: heard.append("stays")):
        await signals.publish("a")
    assert heard == ["stays"]


async def test_who_stops_listening_while_the_word_is_told_disturbs_nobody(signals: Signals) -> None:
    heard: list[str] = []
    async with AsyncExitStack() as listening:
        leave = AsyncExitStack()
        leave.enter_context(signals.subscribe("a", lambda: listening.push_async_callback(leave.aclose)))
        with signals.subscribe("a", lambda: heard.append("second")):
            await signals.publish("a")
    assert heard == ["second"]


async def test_a_signal_may_have_a_content(signals: Signals) -> None:
    heard: list[str] = []
    with signals.subscribe_content("a", heard.append), signals.subscribe("a", lambda: heard.append("heard")):
        await signals.publish("a", "7 x")
        await signals.publish("a")
    assert heard == ["7 x", "heard", "", "heard"]


# Through Redis


async def hears(listener: Signals, speaker: Signals, word: str = "hello") -> None:
    """Say it until it is heard: who has only just come, or come back, may have missed the first."""
    heard = asyncio.Event()
    with listener.subscribe(word, heard.set):

        async def said() -> bool:
            await speaker.publish(word)
            return heard.is_set()

        await eventually(said)


async def test_a_word_reaches_the_other_processes(redis: RedisServer) -> None:
    here, there = RedisSignals(redis.url), RedisSignals(redis.url)
    async with here.running(), there.running():
        await hears(there, here)
        await hears(here, there)
        with there.subscribe("other", lambda: pytest.fail("another word was heard")):
            await hears(there, here, "grüße 🙂")


async def test_redis_that_goes_and_comes_back_costs_one_warning_and_no_error(redis: RedisServer) -> None:
    here, there = RedisSignals(redis.url, timeout=0.2), RedisSignals(redis.url, timeout=0.2)
    async with there.running():
        with capture_logs() as logs:
            async with here.running():
                await hears(here, there)
                await redis.kill()
                await eventually(lambda: len(logs) == 2)
                heard: list[str] = []
                with here.subscribe("meanwhile", lambda: heard.append("here")):
                    for _ in range(3):
                        await here.publish("meanwhile")
                assert heard == ["here"] * 3
                await redis.start()
                await hears(here, there)
                await hears(there, here)
    told = sorted((each["event"], each["log_level"]) for each in logs)
    assert told == [("signals_recovered", "info")] * 2 + [("signals_unavailable", "warning")] * 2  # one pair each


async def test_redis_that_is_away_at_the_start_is_joined_when_it_comes(redis: RedisServer) -> None:
    await redis.kill()
    here, there = RedisSignals(redis.url), RedisSignals(redis.url)
    with capture_logs() as logs:
        async with here.running(), there.running():
            await eventually(lambda: len(logs) == 2)
            await redis.start()
            await hears(there, here)


async def test_redis_that_says_nothing_holds_nobody_up_and_is_noticed(redis: RedisServer) -> None:
    here = RedisSignals(redis.url, timeout=0.1)
    with capture_logs() as logs:
        async with here.running():
            await eventually(lambda: subscribers(redis))
            redis.freeze()
            loop = asyncio.get_running_loop()
            began = loop.time()
            for _ in range(2000):
                await here.publish("word")
            assert loop.time() - began < 0.1  # not one wait for an answer
            await eventually(lambda: [each["event"] for each in logs] == ["signals_unavailable"])


async def subscribers(redis: RedisServer) -> int:
    async with Redis.from_url(redis.url) as client:
        ((_, count),) = await client.pubsub_numsub(CHANNEL)
        return int(count)


async def test_what_is_no_word_of_ours_is_passed_over(redis: RedisServer) -> None:
    here, there = RedisSignals(redis.url), RedisSignals(redis.url)
    async with here.running(), there.running():
        await hears(here, there)
        async with Redis.from_url(redis.url) as client:
            await client.publish(CHANNEL, b"\xff\xfe")
        await hears(here, there, "after")


async def test_nothing_runs_on_afterwards(redis: RedisServer) -> None:
    here = RedisSignals(redis.url)
    async with here.running():
        await redis.kill()
        assert len(asyncio.all_tasks()) > 1
    assert asyncio.all_tasks() == {asyncio.current_task()}


def test_an_address_that_is_none_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="scheme"):
        RedisSignals("http://127.0.0.1")


# Sessions in two processes


@pytest.fixture
async def two(
    open_it: OpenDatabase, redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[SessionRig, SessionRig]]:
    """Two processes on one database. Neither looks there whether somebody wants a turn to end."""
    monkeypatch.setattr(agent.sessions.lifespan, "RENEW_INTERVAL", 3600.0)
    async with AsyncExitStack() as running:
        rigs = []
        for _ in range(2):
            signals = RedisSignals(redis.url)
            await running.enter_async_context(signals.running())
            database = await running.enter_async_context(open_it())
            rigs.append(await running.enter_async_context(session_rig(database, PROFILE, signals=signals, lease=4e6)))
        await eventually(lambda: count_is(redis, 2))
        yield rigs[0], rigs[1]


async def count_is(redis: RedisServer, count: int) -> bool:
    return await subscribers(redis) == count


async def test_a_cancel_in_another_process_is_heard(two: tuple[SessionRig, SessionRig]) -> None:
    here, there = two
    running = asyncio.create_task(here.invoke("/wait 60s").read_all())
    await eventually(lambda: is_running(there))
    assert (await there.service.cancel(USER, SESSION)).status == "idle"
    assert isinstance((await running)[-1], SessionEnded)


async def test_a_newer_message_in_another_process_takes_over(two: tuple[SessionRig, SessionRig]) -> None:
    here, there = two
    running = asyncio.create_task(here.invoke("/wait 60s").read_all())
    await eventually(lambda: is_running(there))
    newest = there.invoke("newest", on_busy="supersede")
    await newest.read_all()
    assert [each for each in await running if isinstance(each, TurnFailed) and each.error.code == "cancelled"]
    assert newest.text == "You said: newest"
    assert queries(await here.history()) == ["/wait 60s", "newest"]


async def is_running(rig: SessionRig) -> bool:
    record = await rig.service.find(USER, SESSION)
    return record is not None and record.status == "running"


async def test_a_content_reaches_the_other_processes(redis: RedisServer) -> None:
    here, there = RedisSignals(redis.url), RedisSignals(redis.url)
    heard: list[str] = []
    async with here.running(), there.running():
        await hears(there, here)
        with there.subscribe_content("a", heard.append):
            await here.publish("a", "7 x")
            await eventually(lambda: heard == ["7 x"])
