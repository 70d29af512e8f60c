"""What callers spend, on both databases: it adds up over servers and restarts, month by month."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from agent.callers import spending as module
from agent.callers.spending import Spending
from agent.storage.database import Database
from config.errors import StorageUnavailable
from tests.contract.conftest import OpenDatabase
from tests.support.postgres_server import PostgresServer

DECEMBER = datetime(2030, 12, 31, 23, 59, 30, tzinfo=UTC).timestamp()


class Clock:
    def __init__(self) -> None:
        self.now = DECEMBER

    def __call__(self) -> float:
        return self.now


async def test_it_adds_up_over_servers_and_restarts(database: Database) -> None:
    one, other = Spending(database), Spending(database)
    for _ in range(3):
        one.add("a", 0.1)
        await one.exchange()
        await one.exchange()  # counts nothing twice
    other.add("a", 1.0)
    other.add("b", 5.0)
    await other.exchange()
    assert one.spent("a") == pytest.approx(0.3)  # until the next exchange
    await one.exchange()
    assert (one.spent("a"), one.spent("b"), one.spent("c")) == (pytest.approx(1.3), 5.0, 0.0)
    restarted = Spending(database)
    assert not restarted.is_known
    async with restarted.running():
        assert restarted.is_known and restarted.spent("a") == pytest.approx(1.3)
        restarted.add("a", 0.7)
    again = Spending(database)
    await again.exchange()
    assert again.spent("a") == pytest.approx(2.0)


async def test_each_month_begins_with_nothing(database: Database) -> None:
    clock = Clock()
    one, other = Spending(database, clock), Spending(database, clock)
    for each in (one, other):
        each.add("a", 3.0)
        await each.exchange()
    await one.exchange()
    assert (one.spent("a"), one.seconds_left()) == (6.0, 30.0)
    one.add("a", 1.0)  # is stored in the next month, for the last one
    clock.now += 60
    assert one.spent("a") == 0.0
    one.add("a", 2.0)
    await one.exchange()
    await other.exchange()
    assert (one.spent("a"), other.spent("a"), one.seconds_left()) == (2.0, 2.0, 31 * 86_400 - 30)
    clock.now = DECEMBER
    await other.exchange()
    assert other.spent("a") == 7.0


async def test_old_months_are_removed(database: Database) -> None:
    clock = Clock()
    old = Spending(database, clock)
    old.add("a", 3.0)
    await old.exchange()
    clock.now += 15 * 31 * 86_400
    async with Spending(database, clock).running():
        pass
    clock.now = DECEMBER
    fresh = Spending(database, clock)
    await fresh.exchange()
    assert fresh.spent("a") == 0.0


async def test_an_outage_loses_nothing_and_after_a_while_nothing_is_known(
    postgres: PostgresServer, open_postgres: OpenDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_postgres() as database:
        spending = Spending(database)
        await spending.exchange()
        postgres.stop()
        spending.add("a", 1.5)
        with pytest.raises(StorageUnavailable):
            await spending.exchange()
        assert spending.is_known and spending.spent("a") == 1.5
        monkeypatch.setattr(module, "GRACE", 0.0)
        assert not spending.is_known
        monkeypatch.undo()
        postgres.start()
        async with asyncio.timeout(20):
            while True:
                try:
                    await spending.exchange()
                    break
                except StorageUnavailable:
                    await asyncio.sleep(0.05)
        fresh = Spending(database)
        await fresh.exchange()
        assert fresh.spent("a") == 1.5
