"""Synchronization with the shared store: wrong clocks, stale snapshots, and an unavailable store."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest
from structlog.testing import capture_logs

from config.errors import ProviderOverloaded
from config.models.deployments import RouterSettings
from router.health.breaker import BreakerSnapshot
from router.health.breakers import Breakers
from router.health.rate_limits import RateLimits
from router.health.shared_clock import SharedClock
from router.health.shared_state import MAX_RETRY_INTERVAL, STALE, SharedSnapshot, SharedState
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


async def test_servers_whose_clocks_differ_agree_on_the_end_of_a_cooldown(store: MemoryStore, time: Clock) -> None:
    early, late = Server(store, time, offset=-3600.0), Server(store, time, offset=3600.0)
    await early.shared.sync()
    await late.shared.sync()
    early.fail("x")
    await early.shared.sync()
    await late.shared.sync()
    assert late.breakers.retry_after(["x"]) == pytest.approx(5.0)
    time.now += 5.0
    assert late.breakers.allows("x")


async def test_a_clock_that_was_wrong_resets_the_breakers(store: MemoryStore, time: Clock) -> None:
    server = Server(store, time, offset=3600.0)
    server.fail("x")
    await server.shared.sync()
    assert server.breakers.allows("x")
    server.fail("x")
    await server.shared.sync()
    assert server.breakers.retry_after(["x"]) == pytest.approx(5.0)


def test_the_clock_is_adjusted_as_little_as_possible() -> None:
    local = Clock(100.0)
    clock = SharedClock(local, 0.0)
    local.now = 110.0
    assert clock.synchronize(remote=104.0, requested=100.0) == 0.0
    assert clock() == 110.0
    assert clock.synchronize(remote=130.0, requested=100.0) == 20.0
    assert clock() == 130.0
    assert clock.synchronize(remote=90.0, requested=125.0) == -35.0
    assert clock() == 95.0


async def test_a_snapshot_from_the_future_is_ignored_and_overwritten(store: MemoryStore, time: Clock) -> None:
    store.breakers["x"] = BreakerSnapshot(at=time.now + 3600, until=time.now + 3605, opened=time.now + 3600)
    server = Server(store, time)
    await server.shared.sync()
    assert server.breakers.allows("x")
    server.fail("x")
    await server.shared.sync()
    assert store.breakers["x"].at == time.now


async def test_stale_snapshots_are_deleted_from_the_store(store: MemoryStore, time: Clock) -> None:
    server, other = Server(store, time), Server(store, time)
    server.fail("x")
    await server.shared.sync()
    time.now += STALE + 4
    await server.shared.sync()
    await server.shared.sync()
    assert set(store.breakers) == {"x"}
    time.now += 2
    for each in (server, other, server, other):
        await each.shared.sync()
    assert store.breakers == {}


async def test_a_store_that_lost_its_data_is_filled_again(store: MemoryStore, time: Clock) -> None:
    server = Server(store, time)
    server.fail("x")
    await server.shared.sync()
    store.lose_everything()
    await server.shared.sync()
    await server.shared.sync()
    assert set(store.breakers) == {"x"}


async def test_what_the_store_has_is_not_written_again(store: MemoryStore, time: Clock) -> None:
    server, other = Server(store, time), Server(store, time)
    server.fail("x")
    await server.shared.sync()
    await other.shared.sync()
    stored, store.breakers = store.breakers, _Unwritable(store.breakers)
    await server.shared.sync()
    await other.shared.sync()
    assert store.breakers == stored


class _Unwritable(dict[str, BreakerSnapshot]):
    def __ior__(self, other: Any) -> Any:
        assert not other
        return self


def test_while_the_store_is_unavailable_the_retry_interval_grows_up_to_a_limit() -> None:
    async def scenario() -> tuple[int, int]:
        loop = asyncio.get_running_loop()
        store = MemoryStore(loop.time)
        store.available = False
        async with Server(store, loop.time).shared.running():
            await asyncio.sleep(100)
            while_unavailable = store.syncs
            store.available = True
            await asyncio.sleep(MAX_RETRY_INTERVAL)
            before = store.syncs
            await asyncio.sleep(10)
            return while_unavailable, store.syncs - before

    with capture_logs() as logs:
        while_unavailable, in_ten_seconds = run_virtually(scenario())
    assert 100 / MAX_RETRY_INTERVAL <= while_unavailable <= 100 / MAX_RETRY_INTERVAL + 5
    assert 45 <= in_ten_seconds <= 50
    assert [each["event"] for each in logs] == ["shared_state_unavailable", "shared_state_recovered"]


def test_a_crash_of_the_background_task_is_logged_and_the_server_goes_on() -> None:
    class Broken(MemoryStore):
        closed = False

        async def sync(self, *_: Any) -> SharedSnapshot:
            raise RuntimeError("a bug")

        async def aclose(self) -> None:
            self.closed = True

    async def scenario() -> bool:
        loop = asyncio.get_running_loop()
        store = Broken(loop.time)
        async with Server(store, loop.time).shared.running():
            await asyncio.sleep(0.5)
        return store.closed

    with capture_logs() as logs:
        assert run_virtually(scenario())
    assert [(each["event"], each["log_level"]) for each in logs] == [("background_loop_crashed", "error")]


def test_a_cancellation_that_the_store_swallows_still_ends_the_task() -> None:
    class Swallowing(MemoryStore):
        async def sync(self, *arguments: Any) -> SharedSnapshot:
            if not self.syncs:
                with suppress(asyncio.CancelledError):
                    await asyncio.sleep(1)
            return await super().sync(*arguments)

    async def scenario() -> set[Any]:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(60):
            async with Server(Swallowing(loop.time), loop.time).shared.running():
                await asyncio.sleep(0.5)
        return asyncio.all_tasks() - {asyncio.current_task()}

    assert run_virtually(scenario()) == set()
