"""The exchange with the shared store when clocks are wrong, words are old, and the store comes and goes."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest
from structlog.testing import capture_logs

from config.errors import ProviderOverloaded
from config.models.deployments import RouterSettings
from router.health.breaker import Verdict
from router.health.breakers import Breakers
from router.health.rate_limits import RateLimits
from router.health.shared_clock import SharedClock
from router.health.shared_state import LONGEST_PAUSE, STALE, SharedSnapshot, SharedState
from tests.support.memory_store import MemoryStore
from tests.support.virtual_clock import run_virtually


class Clock:
    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Server:
    def __init__(self, store: Any, local: Any, offset: float = 0.0) -> None:
        self.clock = SharedClock(local, offset)
        self.breakers = Breakers(lambda: RouterSettings(allowed_fails=1, cooldown_time=5.0), self.clock)
        self.shared = SharedState(store, self.breakers, RateLimits(self.clock), self.clock)

    def fail(self, deployment_id: str) -> None:
        self.breakers.begin(deployment_id).failed(ProviderOverloaded("503"))


@pytest.fixture
def time() -> Clock:
    return Clock(1_000_000.0)


@pytest.fixture
def store(time: Clock) -> MemoryStore:
    return MemoryStore(time)


async def test_servers_whose_clocks_differ_agree_on_the_end_of_a_rest(store: MemoryStore, time: Clock) -> None:
    early, late = Server(store, time, offset=-3600.0), Server(store, time, offset=3600.0)
    await early.shared.exchange()
    await late.shared.exchange()
    early.fail("x")
    await early.shared.exchange()
    await late.shared.exchange()
    assert late.breakers.retry_after(["x"]) == pytest.approx(5.0)
    time.now += 5.0
    assert late.breakers.allows("x")


async def test_when_the_clock_turns_out_to_be_wrong_old_verdicts_are_dropped(store: MemoryStore, time: Clock) -> None:
    server = Server(store, time, offset=3600.0)
    server.fail("x")
    await server.shared.exchange()
    assert server.breakers.allows("x")
    server.fail("x")
    await server.shared.exchange()
    assert server.breakers.retry_after(["x"]) == pytest.approx(5.0)


def test_a_slow_answer_is_no_reason_to_move_the_clock() -> None:
    local = Clock(100.0)
    clock = SharedClock(local, 0.0)
    local.now = 110.0
    assert clock.agree(now=104.0, asked=100.0) == 0.0
    assert clock() == 110.0
    assert clock.agree(now=130.0, asked=100.0) == 20.0
    assert clock() == 130.0
    assert clock.agree(now=90.0, asked=125.0) == -35.0
    assert clock() == 95.0


async def test_a_word_from_the_future_is_passed_over_and_written_over(store: MemoryStore, time: Clock) -> None:
    store.verdicts["x"] = Verdict(at=time.now + 3600, until=time.now + 3605, opened=time.now + 3600)
    server = Server(store, time)
    await server.shared.exchange()
    assert server.breakers.allows("x")
    server.fail("x")
    await server.shared.exchange()
    assert store.verdicts["x"].at == time.now


async def test_words_that_nobody_needs_any_more_leave_the_store(store: MemoryStore, time: Clock) -> None:
    server, other = Server(store, time), Server(store, time)
    server.fail("x")
    await server.shared.exchange()
    time.now += STALE + 4
    await server.shared.exchange()
    await server.shared.exchange()
    assert set(store.verdicts) == {"x"}
    time.now += 2
    for each in (server, other, server, other):
        await each.shared.exchange()
    assert store.verdicts == {}


async def test_a_store_that_lost_everything_is_told_again(store: MemoryStore, time: Clock) -> None:
    server = Server(store, time)
    server.fail("x")
    await server.shared.exchange()
    store.lose_everything()
    await server.shared.exchange()
    await server.shared.exchange()
    assert set(store.verdicts) == {"x"}


async def test_what_is_known_there_is_not_written_again(store: MemoryStore, time: Clock) -> None:
    server, other = Server(store, time), Server(store, time)
    server.fail("x")
    await server.shared.exchange()
    await other.shared.exchange()
    told, store.verdicts = store.verdicts, _Unwritable(store.verdicts)
    await server.shared.exchange()
    await other.shared.exchange()
    assert store.verdicts == told


class _Unwritable(dict[str, Verdict]):
    def __ior__(self, other: Any) -> Any:
        assert not other
        return self


def test_while_the_store_is_away_the_attempts_grow_rarer_up_to_a_bound() -> None:
    async def scenario() -> tuple[int, int]:
        loop = asyncio.get_running_loop()
        store = MemoryStore(loop.time)
        store.away = True
        async with Server(store, loop.time).shared:
            await asyncio.sleep(100)
            while_away = store.exchanges
            store.away = False
            await asyncio.sleep(LONGEST_PAUSE)
            back = store.exchanges
            await asyncio.sleep(10)
            return while_away, store.exchanges - back

    with capture_logs() as logs:
        while_away, in_ten_seconds = run_virtually(scenario())
    assert 100 / LONGEST_PAUSE <= while_away <= 100 / LONGEST_PAUSE + 5
    assert 45 <= in_ten_seconds <= 50
    assert [each["event"] for each in logs] == ["shared_state_away", "shared_state_back"]


def test_a_fault_in_the_task_is_logged_and_does_not_take_the_server_along() -> None:
    class Broken(MemoryStore):
        closed = False

        async def exchange(self, *_: Any) -> SharedSnapshot:
            raise RuntimeError("a fault of ours")

        async def aclose(self) -> None:
            self.closed = True

    async def scenario() -> bool:
        loop = asyncio.get_running_loop()
        store = Broken(loop.time)
        async with Server(store, loop.time).shared:
            await asyncio.sleep(1)
        return store.closed

    with capture_logs() as logs:
        assert run_virtually(scenario())
    assert [(each["event"], each["log_level"]) for each in logs] == [("shared_state_stopped", "error")]


def test_a_cancellation_that_gets_lost_on_the_way_to_the_store_still_ends_the_task() -> None:
    class Swallowing(MemoryStore):
        async def exchange(self, *arguments: Any) -> SharedSnapshot:
            if not self.exchanges:
                with suppress(asyncio.CancelledError):
                    await asyncio.sleep(1)
            return await super().exchange(*arguments)

    async def scenario() -> set[Any]:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(60):
            async with Server(Swallowing(loop.time), loop.time).shared:
                await asyncio.sleep(0.5)
        return asyncio.all_tasks() - {asyncio.current_task()}

    assert run_virtually(scenario()) == set()
