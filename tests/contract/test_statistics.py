"""Statistics of several servers: the same suite over both databases."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select

from agent.statistics.counts import Counts
from agent.statistics.statistics import MINUTE, TOTAL, Snapshot, Statistics
from agent.statistics.statistics_tables import resets, statistics
from agent.statistics.store import FOLD_AFTER, MINUTES_KEPT, STALE, StatisticsStore, open_statistics_store
from agent.statistics.writer import StatisticsWriter
from agent.storage.database import Database
from config.errors import StorageUnavailable
from tests.contract.conftest import OpenDatabase
from tests.support.counted_turns import answered, ended
from tests.support.postgres_server import PostgresServer

NOW = datetime(2026, 1, 31, 12, 0, 30, tzinfo=UTC)
THIS_MINUTE = int(NOW.timestamp()) // MINUTE


@pytest.fixture
async def store(database: Database) -> AsyncIterator[StatisticsStore]:
    async with open_statistics_store(database) as store:
        yield store


class Server:
    """The statistics of one process."""

    def __init__(self, store: StatisticsStore, now: datetime = NOW) -> None:
        self.now = now
        self.statistics = Statistics(clock=lambda: self.now.timestamp())
        self.store = store

    def count(self, turns: int = 1) -> Server:
        for _ in range(turns):
            self.statistics.turn_began()
            self.statistics.turn_ended(ended(answered(cost=0.1)))
        return self

    async def write(self) -> None:
        snapshot = self.statistics.snapshot()
        await self.store.write(snapshot, self.now)
        self.statistics.stored(snapshot)

    async def turns(self) -> int:
        return turns((await self.store.totals(self.statistics.snapshot(), self.now)).counts)

    async def running(self) -> int:
        return (await self.store.totals(self.statistics.snapshot(), self.now)).running

    async def minutes(self, first: int = -2, last: int = 0) -> dict[int, int]:
        found = await self.store.minutes(self.statistics.snapshot(), THIS_MINUTE + first, THIS_MINUTE + last)
        return {minute - THIS_MINUTE: turns(counts) for minute, counts in found.items()}


def turns(counts: Counts) -> int:
    return counts.total("models")["turns.stop"]


async def rows(database: Database, minute: int) -> int:
    async with database.read() as connection:
        wanted = select(func.count()).select_from(statistics)
        found = wanted.where(statistics.c.minute == TOTAL if minute == TOTAL else statistics.c.minute != TOTAL)
        return int((await connection.execute(found)).scalar_one())


async def test_an_empty_database_has_nothing_but_a_beginning(store: StatisticsStore) -> None:
    server = Server(store)
    totals = await server.store.totals(server.statistics.snapshot(), NOW)
    assert not totals.counts
    assert totals.since.caller is None
    # Only as old as the database, which earlier tests of this process had.
    assert timedelta() < datetime.now(UTC) - totals.since.time < timedelta(hours=1)
    assert await server.minutes() == {}


async def test_servers_add_up(store: StatisticsStore) -> None:
    here, there = Server(store).count(2), Server(store).count(3)
    await here.write()
    await there.write()
    assert await here.turns() == await there.turns() == 5
    assert await here.minutes() == {0: 5}
    totals = await here.store.totals(here.statistics.snapshot(), NOW)
    assert totals.counts.total("models")["cost"] == 500_000_000  # 5 times 0.1, to the last digit


async def test_a_server_sees_what_it_has_not_stored_yet(store: StatisticsStore) -> None:
    here, there = Server(store).count(2), Server(store)
    await here.write()
    here.count()
    assert await here.turns() == 3
    assert await here.minutes() == {0: 3}
    assert await there.turns() == 2


async def test_storing_twice_counts_once(store: StatisticsStore) -> None:
    here = Server(store).count(2)
    snapshot = here.statistics.snapshot()
    await here.store.write(snapshot, NOW)
    await here.store.write(snapshot, NOW)  # as after a commit of which nothing was heard
    assert await Server(store).turns() == 2


async def test_statistics_survive_a_restart(open_it: OpenDatabase) -> None:
    async with open_it() as database, open_statistics_store(database) as store:
        await Server(store).count(2).write()
    async with open_it() as database, open_statistics_store(database) as store:
        assert await Server(store).turns() == 2


async def test_minutes_are_apart(store: StatisticsStore) -> None:
    here, there = Server(store).count(1), Server(store)
    for server in (here, there):
        server.now += timedelta(minutes=1)
        server.count(2)
        await server.write()
    assert await Server(store).minutes(0, 1) == {0: 1, 1: 4}
    assert await Server(store).minutes(1, 1) == {1: 4}
    assert await Server(store).turns() == 5


async def test_a_reset_is_recorded_and_erases_nothing(database: Database, store: StatisticsStore) -> None:
    here, there = Server(store).count(2), Server(store).count(3)
    await here.write()
    await there.write()
    reset = await here.store.reset("ann", NOW)
    assert (reset.time, reset.caller) == (NOW, "ann")
    assert await here.turns() == await there.turns() == 0
    there.count(4)
    await there.write()
    totals = await here.store.totals(here.statistics.snapshot(), NOW)
    assert turns(totals.counts) == 4
    assert totals.since == reset
    assert totals.counts.total("models")["cost"] == 400_000_000
    assert await here.minutes() == {0: 9}
    async with database.read() as connection:
        recorded = (await connection.execute(select(resets).order_by(resets.c.id))).all()
    assert [each.caller for each in recorded] == [None, "ann"]
    assert turns(Counts.from_json(recorded[-1].counts)) == 5


async def test_a_second_reset_counts_from_itself(store: StatisticsStore) -> None:
    here = Server(store).count(2)
    for _ in range(2):
        await here.write()
        await here.store.reset("ann", NOW)
        assert await here.turns() == 0
        here.count(3)
    assert await here.turns() == 3


async def test_turns_that_run_elsewhere_count_while_their_server_lives(store: StatisticsStore) -> None:
    here, there = Server(store).count(), Server(store).count()
    there.statistics.turn_began()
    await there.write()
    here.statistics.turn_began()
    here.statistics.turn_began()
    assert await here.running() == 3
    here.now += timedelta(seconds=STALE + 1)
    assert await here.running() == 2


async def test_old_totals_become_one_row_and_stay_exact(database: Database, store: StatisticsStore) -> None:
    old = [Server(store).count(each) for each in (1, 2, 3)]
    for server in old:
        await server.write()
    new = Server(store, NOW + timedelta(seconds=FOLD_AFTER, hours=1)).count(4)
    await new.write()
    await new.store.reset("ann", new.now)
    new.count(5)
    await new.write()
    await asyncio.gather(*(new.store.sweep(new.now) for _ in range(2)))
    assert await rows(database, TOTAL) == 2
    assert await new.turns() == 5
    async with database.read() as connection:
        texts = (await connection.execute(select(statistics.c.counts).where(statistics.c.minute == TOTAL))).scalars()
        assert turns(Counts.sum(*map(Counts.from_json, texts))) == 15


async def test_the_total_of_a_quiet_process_stays_its_own(
    database: Database, store: StatisticsStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.statistics.writer.SWEEP_INTERVAL", 0.01)
    writer, long_ago = StatisticsWriter(Server(store).count(2).statistics, store), NOW - timedelta(days=365)
    snapshot = writer.statistics.snapshot()
    await store.write(snapshot, long_ago)
    writer.statistics.stored(snapshot)
    async with writer.running(), asyncio.timeout(5):
        while await rows(database, THIS_MINUTE):  # a sweep deletes it, for it is old by now
            await asyncio.sleep(0.01)
    assert await Server(store).turns() == 2


async def test_old_minutes_are_deleted_and_totals_kept(database: Database, store: StatisticsStore) -> None:
    here = Server(store).count(2)
    await here.write()
    await here.store.sweep(NOW + timedelta(minutes=MINUTES_KEPT - 1))
    assert await here.minutes() == {0: 2}
    await here.store.sweep(NOW + timedelta(minutes=MINUTES_KEPT + 1))
    assert await rows(database, THIS_MINUTE) == 0
    assert await Server(store).turns() == 2


async def test_the_writer_writes_in_the_background_and_at_the_end(store: StatisticsStore) -> None:
    writer, other = StatisticsWriter(Statistics(), store), Server(store)
    async with writer.running():
        writer.statistics.turn_began()
        writer.statistics.turn_ended(ended())
        async with asyncio.timeout(5):
            while await other.turns() != 1:
                await asyncio.sleep(0.05)
        writer.statistics.turn_began()
        writer.statistics.turn_ended(ended())
    assert await other.turns() == 2


class SlowStore(StatisticsStore):
    """The first write arrives after the second, if both are on their way at once."""

    def __init__(self) -> None:
        self.turns: list[int] = []

    async def write(self, snapshot: Snapshot, now: datetime) -> None:
        for _ in range(10 if turns(snapshot.counts[TOTAL]) == 1 else 1):
            await asyncio.sleep(0)
        self.turns.append(turns(snapshot.counts[TOTAL]))


async def test_no_older_counts_replace_newer_ones() -> None:
    store = SlowStore()
    writer = StatisticsWriter(Statistics(), store)
    async with asyncio.TaskGroup() as writes:
        for _ in range(2):
            writer.statistics.turn_ended(ended())
            writes.create_task(writer.write())
            await asyncio.sleep(0)
    assert store.turns == [1, 2]


async def test_an_outage_of_the_database_loses_nothing(open_postgres: OpenDatabase, postgres: PostgresServer) -> None:
    async with open_postgres() as database, open_statistics_store(database) as store:
        writer = StatisticsWriter(Statistics(), store)
        writer.statistics.turn_ended(ended())
        await writer.write()
        postgres.stop()
        writer.statistics.turn_ended(ended())
        with pytest.raises(StorageUnavailable):
            await writer.write()
        with pytest.raises(StorageUnavailable):
            await writer.totals()
        postgres.start()
        await writer.write()
        assert await Server(store).turns() == 2
