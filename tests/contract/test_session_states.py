"""The status that clients poll, with and without Redis: that of the database, which Redis saves from being asked."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Any

import pytest
from redis.asyncio import Redis
from sqlalchemy import event
from structlog.testing import capture_logs

from agent.sessions.redis_states import KEY_PREFIX, PAUSE, RedisStates
from agent.sessions.sessions_table import CRASHED
from agent.sessions.states import LiveState, SessionStates
from agent.sessions.store import SessionStore
from agent.sessions.turn_response import TurnResponse
from agent.storage.database import Database
from api.sessions import encode
from config.errors import SessionBusy
from tests.contract.conftest import OpenDatabase
from tests.support.redis_server import RedisServer, redis_server
from tests.support.session_rig import eventually

LEASE = 10.0
KEY = ("u", "s")
SAID = TurnResponse("interrupted", 1.5, messages=({"content": "你好 \ud800"},), interrupts=({"args": {"n": 1.5}},))


@dataclass(frozen=True, slots=True)
class Servers:
    """Two servers on one database, and how often the first has asked it."""

    here: SessionStore
    there: SessionStore
    queries: list[str]

    async def shown(self) -> dict[str, Any]:
        """The status at both servers, at first and once it was polled; it is always that of the database."""
        stored = await self.here.find(*KEY)
        expected = encode.status(stored) if stored else None
        for store in (self.here, self.there) * 2:
            record = await store.status(*KEY)
            assert (encode.status(record) if record else None) == expected
        return expected or {"status": "not_found"}

    async def queries_of(self, read: Callable[[], Awaitable[Any]]) -> int:
        before = len(self.queries)
        await read()
        return len(self.queries) - before


@pytest.fixture
async def redis() -> AsyncIterator[RedisServer]:
    async with redis_server() as server:
        yield server


async def open_servers(
    running: AsyncExitStack, open_it: OpenDatabase, url: str | None, lease: float = LEASE
) -> Servers:
    stores: list[SessionStore] = []
    queries: list[str] = []
    for _ in range(2):
        database: Database = await running.enter_async_context(open_it())
        states = SessionStates()
        if url is not None:
            states = RedisStates(url, lease)
            await running.enter_async_context(states.running())
        stores.append(SessionStore(database, states=states, lease=lease))
        if len(stores) == 1:
            for engine in (database.engine.sync_engine, *([database.thread.engine] if database.thread else [])):
                event.listen(engine, "before_cursor_execute", lambda *given: queries.append(str(given[2])))
    return Servers(stores[0], stores[1], queries)


@pytest.fixture(params=["database", "redis"])
async def servers(request: pytest.FixtureRequest, open_it: OpenDatabase) -> AsyncIterator[Servers]:
    async with AsyncExitStack() as running:
        url = (await running.enter_async_context(redis_server())).url if request.param == "redis" else None
        yield await open_servers(running, open_it, url)


@pytest.fixture
async def with_redis(open_it: OpenDatabase, redis: RedisServer) -> AsyncIterator[Servers]:
    async with AsyncExitStack() as running:
        yield await open_servers(running, open_it, redis.url)


# With and without Redis


async def test_every_change_is_seen_at_once_at_every_server(servers: Servers) -> None:
    here, there = servers.here, servers.there
    assert (await servers.shown())["status"] == "not_found"
    await here.create(*KEY, ttl=60)
    assert (await servers.shown())["status"] == "idle"
    await here.claim(*KEY, "t1", "Hi")
    assert (await servers.shown())["last_query"] == "Hi"
    with pytest.raises(SessionBusy):
        await there.claim(*KEY, "t2", "Hello?")
    assert (await servers.shown())["status"] == "running"
    await here.finish("t1", "interrupted", last_response=SAID, interrupts=SAID.interrupts)
    shown = await servers.shown()
    assert (shown["status"], shown["interrupt_data"]) == ("interrupted", {"args": {"n": 1.5}})
    assert list(shown["last_response"]["result"]["messages"]) == [{"content": "你好 \ud800"}]
    await there.set_expiry(*KEY, None)
    assert (await servers.shown())["expires_at"] is None
    await there.claim(*KEY, "t3", None)
    await here.set_expiry(*KEY, 60)
    assert (await servers.shown())["status"] == "running"
    await there.finish("t3", "completed")
    assert (await servers.shown())["status"] == "completed"
    await here.delete(*KEY)
    assert (await servers.shown())["status"] == "not_found"
    await there.create(*KEY)
    assert (await servers.shown())["last_query"] is None


async def test_an_expired_session_is_gone(servers: Servers) -> None:
    await servers.here.create(*KEY, ttl=0.3)
    await servers.shown()
    await asyncio.sleep(0.35)
    assert (await servers.shown())["status"] == "not_found"


async def test_whatever_happens_at_the_same_time_the_status_is_that_of_the_database(with_redis: Servers) -> None:
    servers, chance = with_redis, random.Random(7)
    await servers.here.create(*KEY)

    async def turn(store: SessionStore, turn_id: str) -> None:
        try:
            await store.claim(*KEY, turn_id, turn_id)
        except SessionBusy:
            return
        await asyncio.sleep(chance.random() / 500)
        await store.finish(turn_id, chance.choice(("completed", "error", "interrupted")), message=turn_id)

    async def change(store: SessionStore) -> None:
        await store.set_expiry(*KEY, chance.randrange(100, 1000))

    for round_ in range(6):
        calls: list[Any] = [
            call
            for number in range(3)
            for store in (servers.here, servers.there)
            for call in (turn(store, f"{round_}-{number}-{id(store)}"), change(store), store.status(*KEY))
        ]
        chance.shuffle(calls)
        await asyncio.gather(*calls)
        await servers.shown()


async def test_a_crash_shows_when_the_lease_has_lapsed(open_it: OpenDatabase, redis: RedisServer) -> None:
    async with AsyncExitStack() as running:
        servers = await open_servers(running, open_it, redis.url, lease=1.0)
        await servers.here.create(*KEY)
        await servers.here.claim(*KEY, "t", "Hi")
        began = time.monotonic()
        while time.monotonic() < began + 1.2:
            await _renewed_lease_shows(servers)
            await asyncio.sleep(0.1)
        await eventually(lambda: _is_error(servers), seconds=5)  # without `shown`: it may read before and after
        assert (await servers.shown())["message"] == CRASHED
        # The process was only slow: it goes on.
        await _renewed_lease_shows(servers)


async def _renewed_lease_shows(servers: Servers) -> None:
    renewed = time.monotonic()
    await servers.here.renew(["t"])
    try:
        assert (await servers.shown())["status"] == "running"
    except AssertionError:
        if time.monotonic() - renewed < 1.0:
            raise  # otherwise the machine stalled for the whole lease


async def _is_error(servers: Servers) -> bool:
    record = await servers.here.find(*KEY)
    return record is not None and record.status == "error"


# What Redis saves


async def test_polling_asks_the_database_nothing(with_redis: Servers) -> None:
    here, there = with_redis.here, with_redis.there
    await here.create(*KEY)
    await there.claim(*KEY, "t", "Hi")
    assert await with_redis.queries_of(lambda: here.status(*KEY)) == 0
    await there.finish("t", "completed", last_response=SAID)
    assert await with_redis.queries_of(lambda: here.status(*KEY)) == 0
    record = await here.status(*KEY)
    assert record is not None and (record.status, record.last_response) == ("completed", SAID)


async def test_a_state_expires_with_its_session(with_redis: Servers, redis: RedisServer) -> None:
    await with_redis.here.create(*KEY, ttl=600)
    await with_redis.here.claim(*KEY, "t", "Hi")
    async with Redis.from_url(redis.url) as client:
        [name] = [each async for each in client.scan_iter(f"{KEY_PREFIX}*")]
        assert 0 < await client.pttl(name) <= LEASE * 500
        await with_redis.here.finish("t", "completed")
        assert 590_000 < await client.pttl(name) <= 600_000
        await with_redis.there.set_expiry(*KEY, 60)
        assert 50_000 < await client.pttl(name) <= 60_000
        await with_redis.there.delete(*KEY)
        assert await client.keys() == []


async def test_a_flushed_redis_loses_nothing(with_redis: Servers, redis: RedisServer) -> None:
    await with_redis.here.create(*KEY)
    await with_redis.here.claim(*KEY, "t", "Hi")
    await with_redis.here.finish("t", "interrupted", interrupts=SAID.interrupts)
    before = await with_redis.shown()
    async with Redis.from_url(redis.url) as client:
        await client.flushall()
    assert await with_redis.queries_of(lambda: with_redis.here.status(*KEY)) > 0
    assert await with_redis.queries_of(lambda: with_redis.here.status(*KEY)) == 0
    assert await with_redis.shown() == before


# Races, step by step


@pytest.fixture
async def states(redis: RedisServer) -> AsyncIterator[RedisStates]:
    states = RedisStates(redis.url, LEASE)
    async with states.running():
        yield states


@pytest.fixture
async def state(database: Database) -> LiveState:
    return LiveState(await SessionStore(database).create(*KEY))


def with_query(state: LiveState, query: str) -> LiveState:
    return replace(state, record=replace(state.record, last_query=query))


async def polled(states: RedisStates) -> str | None:
    """The query that Redis has; None if it has to ask the database."""

    async def load() -> LiveState | None:
        return None

    record = await states.find(KEY, load)
    return None if record is None else record.last_query


async def test_a_slow_reader_does_not_bring_back_what_was_changed_meanwhile(
    states: RedisStates, state: LiveState
) -> None:
    async def load() -> LiveState:
        mark = await states.mark(KEY)
        await states.put(KEY, mark, with_query(state, "new"))
        return with_query(state, "old")

    record = await states.find(KEY, load)
    assert record is not None and record.last_query == "old"
    assert await polled(states) == "new"


@pytest.mark.parametrize("order", ["ab", "ba"])
async def test_of_two_writers_at_the_same_time_neither_is_believed(
    states: RedisStates, state: LiveState, order: str
) -> None:
    marks = {name: await states.mark(KEY) for name in "ab"}
    await states.put(KEY, marks[order[0]], with_query(state, order[0]))
    await states.put(KEY, marks[order[1]], with_query(state, order[1]))
    assert await polled(states) is None


async def test_the_end_of_a_turn_that_lost_its_session_changes_nothing(states: RedisStates, state: LiveState) -> None:
    mark = await states.mark(KEY)
    await states.put(KEY, mark, replace(with_query(state, "newer"), turn_id="newer", lease_left=LEASE))
    await states.put(KEY, "older", with_query(state, "older"))
    assert await polled(states) is None


async def test_while_a_change_is_not_committed_the_database_is_read(states: RedisStates, state: LiveState) -> None:
    mark = await states.mark(KEY)
    await states.put(KEY, mark, with_query(state, "old"))
    await states.mark(KEY)
    assert await polled(states) is None
    assert await polled(states) is None


# Outages


async def test_a_redis_that_is_away_costs_only_the_saving(with_redis: Servers, redis: RedisServer) -> None:
    await with_redis.here.create(*KEY)
    with capture_logs() as logs:
        redis.freeze()
        began = time.monotonic()
        await with_redis.here.claim(*KEY, "t", "Hi")
        for _ in range(20):
            record = await with_redis.here.status(*KEY)
            assert record is not None and record.status == "running"
        assert time.monotonic() - began < 5
        assert [each["event"] for each in logs] == ["session_states_unavailable"]
        await redis.kill()
        await with_redis.here.finish("t", "completed")
        await redis.start()
        await eventually(lambda: _costs_nothing(with_redis))
        assert [each["event"] for each in logs][-1] == "session_states_recovered"
    assert (await with_redis.shown())["status"] == "completed"


async def _costs_nothing(servers: Servers) -> bool:
    return await servers.queries_of(lambda: servers.here.status(*KEY)) == 0


async def test_what_one_server_could_not_tell_is_forgotten_once_it_can(
    redis: RedisServer, states: RedisStates, state: LiveState, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_off = RedisStates(redis.url, LEASE)
    async with cut_off.running():
        mark = await states.mark(KEY)
        await states.put(KEY, mark, with_query(state, "old"))
        monkeypatch.setattr(cut_off, "_retry_at", time.monotonic() + PAUSE / 2)
        await cut_off.put(KEY, await cut_off.mark(KEY), with_query(state, "new"))
        assert await polled(states) == "old"
        await eventually(lambda: _is_forgotten(states), seconds=10)


async def _is_forgotten(states: RedisStates) -> bool:
    return await polled(states) is None
