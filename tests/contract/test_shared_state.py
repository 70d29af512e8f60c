"""Servers that share one store: the same suite on the in-memory twin and on a real Redis."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any, Protocol

import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from config.errors import CredentialsRefused, ProviderOverloaded, RateLimited
from config.models.deployments import Deployment, RouterSettings
from router.health.breakers import Breakers
from router.health.rate_limits import RateLimits
from router.health.redis_store import RedisStore
from router.health.shared_clock import SharedClock
from router.health.shared_state import SharedState, SharedStore, StoreUnavailable
from tests.support.memory_store import MemoryStore
from tests.support.redis_server import RedisServer, redis_server

DEADLINE = 20.0
"""Seconds after which a condition counts as never met."""


class Backend(Protocol):
    """A store that a test can stop and start. It is empty after a restart."""

    def store(self) -> SharedStore: ...
    async def stop(self) -> None: ...
    async def start(self) -> None: ...


class InMemory:
    def __init__(self) -> None:
        self._store = MemoryStore(time.time)

    def store(self) -> SharedStore:
        return self._store

    async def stop(self) -> None:
        self._store.available = False
        self._store.lose_everything()

    async def start(self) -> None:
        self._store.available = True


class InRedis:
    def __init__(self, server: RedisServer) -> None:
        self.server = server

    def store(self) -> SharedStore:
        return RedisStore(self.server.url, timeout=DEADLINE)

    async def stop(self) -> None:
        await self.server.kill()

    async def start(self) -> None:
        await self.server.start()


class Server:
    """The shared state of one Switchboard process."""

    def __init__(self, store: SharedStore) -> None:
        self.clock = SharedClock()
        self.breakers = Breakers(lambda: RouterSettings(allowed_fails=1, cooldown_time=1000.0), self.clock)
        self.limits = RateLimits(self.clock)
        self.shared = SharedState(store, self.breakers, self.limits, self.clock, interval=0.005)

    async def sync(self) -> None:
        await self.shared.sync()

    def fail(self, deployment_id: str, error: Any = None) -> None:
        self.breakers.begin(deployment_id).failed(
            error or ProviderOverloaded("said-the-provider", provider_text="sk-secret")
        )

    def succeed(self, deployment_id: str) -> None:
        self.breakers.begin(deployment_id).succeeded()


@pytest.fixture(params=["memory", "redis"])
async def backend(request: pytest.FixtureRequest) -> AsyncIterator[Backend]:
    if request.param == "memory":
        yield InMemory()
        return
    async with redis_server() as server:
        yield InRedis(server)


@pytest.fixture
async def new_server(backend: Backend) -> AsyncIterator[Callable[[], Server]]:
    async with AsyncExitStack() as closing:

        def build() -> Server:
            store = backend.store()
            closing.push_async_callback(store.aclose)
            return Server(store)

        yield build


@pytest.fixture
def a(new_server: Callable[[], Server]) -> Server:
    return new_server()


@pytest.fixture
def b(new_server: Callable[[], Server]) -> Server:
    return new_server()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE):
        while not condition():
            await asyncio.sleep(0.005)


async def sync(*servers: Server) -> None:
    for server in servers:
        await server.sync()


async def test_a_breaker_that_one_server_opens_is_open_on_the_other_for_the_same_time(a: Server, b: Server) -> None:
    a.fail("x", CredentialsRefused("no"))
    await sync(a, b)
    assert (b.breakers.state("x"), b.breakers.reason("x")) == ("open", "credentials_refused")
    assert not b.breakers.allows("x")
    assert b.breakers.retry_after(["x"]) == pytest.approx(a.breakers.retry_after(["x"]), abs=DEADLINE)
    assert b.breakers.allows("y")


async def test_a_breaker_that_one_server_closes_is_closed_on_the_other(a: Server, b: Server) -> None:
    a.fail("x")
    await sync(a, b)
    b.succeed("x")
    await sync(b, a)
    assert a.breakers.state("x") == "closed"
    assert a.breakers.allows("x")


async def test_the_newest_snapshot_wins_in_any_order_of_synchronization(a: Server, b: Server) -> None:
    a.fail("x")
    await sync(a, b)
    b.succeed("x")
    b.fail("x", CredentialsRefused("no"))
    await sync(b, a, b, a)
    assert a.breakers.reason("x") == b.breakers.reason("x") == "credentials_refused"


async def test_only_one_server_probes(a: Server, b: Server) -> None:
    a.fail("x", RateLimited("wait", retry_after=0.01))
    await sync(a, b)
    await until(lambda: a.breakers.allows("x") and b.breakers.allows("x"))
    probe = a.breakers.begin("x")
    await sync(a, b)
    assert (b.breakers.state("x"), b.breakers.allows("x")) == ("half-open", False)
    probe.cancelled()
    await sync(a, b)
    await until(lambda: b.breakers.allows("x"))
    b.breakers.begin("x")
    assert not b.breakers.allows("x")


async def test_a_new_server_adopts_the_state_of_the_others(a: Server, new_server: Callable[[], Server]) -> None:
    a.fail("x")
    await sync(a)
    newcomer = new_server()
    await sync(newcomer)
    assert newcomer.breakers.state("x") == "open"


async def test_usage_adds_up_over_all_servers_and_counts_once(a: Server, b: Server) -> None:
    # Far from the limits on either side, so that a minute that ends just now makes no difference.
    used_up = Deployment(id="used up", group="g", model="m", rpm=1000, tpm=1000)
    nearly_used = Deployment(id="nearly used", group="g", model="m", rpm=1000, tpm=1000)
    for server in (a, b):
        for _ in range(700):
            server.limits.count_request(used_up)
        server.limits.count_tokens(nearly_used, 400)
        assert server.limits.admits(used_up)
    for _ in range(5):
        await sync(a, b)
    assert [server.limits.admits(used_up) for server in (a, b)] == [False, False]
    assert [server.limits.admits(nearly_used) for server in (a, b)] == [True, True]


async def test_servers_synchronize_in_the_background(a: Server, b: Server) -> None:
    async with a.shared.running(), b.shared.running():
        a.fail("x")
        await until(lambda: not b.breakers.allows("x"))
        a.succeed("x")
        await until(lambda: b.breakers.allows("x"))


async def test_an_outage_of_the_store_is_logged_once_and_loses_no_state(a: Server, b: Server, backend: Backend) -> None:
    with capture_logs() as logs:
        async with a.shared.running():
            b.fail("before")
            await sync(b)
            await until(lambda: not a.breakers.allows("before"))
            await backend.stop()
            await until(lambda: any(each["event"] == "shared_state_unavailable" for each in logs))
            a.fail("meanwhile")
            assert not a.breakers.allows("before") and not a.breakers.allows("meanwhile")
            with pytest.raises(StoreUnavailable):
                await sync(b)
            await backend.start()
            await until(lambda: any(each["event"] == "shared_state_recovered" for each in logs))
            await sync(b)
            assert not b.breakers.allows("before") and not b.breakers.allows("meanwhile")
    levels = [each["log_level"] for each in logs if each["event"].startswith("shared_state")]
    assert levels == ["warning", "info"]


async def test_a_store_that_is_unavailable_at_start_up_is_used_when_it_recovers(
    a: Server, b: Server, backend: Backend
) -> None:
    await backend.stop()
    with capture_logs() as logs:
        async with a.shared.running(), b.shared.running():
            a.fail("x")
            await until(lambda: sum(each["event"] == "shared_state_unavailable" for each in logs) == 2)
            assert b.breakers.allows("x")
            await backend.start()
            await until(lambda: not b.breakers.allows("x"))


async def test_nothing_runs_on_after_the_server_ends(a: Server, backend: Backend) -> None:
    async with a.shared.running():
        await backend.stop()
        assert len(asyncio.all_tasks()) > 1
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.fixture
async def redis() -> AsyncIterator[RedisServer]:
    async with redis_server() as server:
        yield server


async def contents(redis: RedisServer) -> dict[bytes, dict[bytes, bytes]]:
    async with Redis.from_url(redis.url) as client:
        return {key: await client.hgetall(key) for key in await client.keys("*")}


async def test_redis_holds_only_ids_codes_counts_and_times(redis: RedisServer) -> None:
    server = Server(RedisStore(redis.url))
    async with server.shared.running():
        server.fail("group/model")
        server.limits.count_request(Deployment(id="group/model", group="group", model="model", rpm=1))
        await server.sync()
    stored = await contents(redis)
    assert len(stored) == 2
    assert all(key.startswith(b"switchboard:") for key in stored)
    assert b"group/model" in stored[b"switchboard:breakers"]
    assert b"secret" not in repr(stored).encode() and b"said-the-provider" not in repr(stored).encode()
    async with Redis.from_url(redis.url) as client:
        assert all([await client.ttl(key) > 0 for key in stored])


async def test_what_another_version_wrote_is_ignored(redis: RedisServer) -> None:
    async with Redis.from_url(redis.url) as client:
        future = time.time() + 1e9
        await client.hset("switchboard:breakers", mapping={"x": b"not json", "y": b'{"until": 1}', b"\xff": b"{}"})
        await client.hset(
            "switchboard:breakers", "z", f'{{"at": {time.time()}, "until": {future}, "opened": 1, "new": 1}}'
        )
        await client.hset(f"switchboard:spent:{int(time.time() // 60)}", "other", b"[]")
    server = Server(RedisStore(redis.url))
    async with server.shared.running():
        await server.sync()
    assert [each for each in "xyz" if not server.breakers.allows(each)] == ["z"]


async def test_a_redis_that_accepts_connections_but_never_answers_is_unavailable(redis: RedisServer) -> None:
    store = RedisStore(redis.url, timeout=0.05)
    server = Server(store)
    await server.sync()
    redis.freeze()
    async with asyncio.timeout(3):  # well below what redis-py waits by itself
        with pytest.raises(StoreUnavailable, match="Redis: "):
            await server.sync()
    await store.aclose()


def test_an_invalid_url_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="scheme"):
        RedisStore("http://127.0.0.1")
