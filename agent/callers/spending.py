"""What callers spend in a calendar month (UTC), over all servers and restarts."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Final
from uuid import uuid4

from sqlalchemy import and_, delete, func, select

from agent.callers.spending_table import spending
from agent.storage.database import Database
from config.callers.caller import Caller
from config.errors import QuotaExhausted, StorageUnavailable
from router.background_loop import background_loop

UNITS: Final = 1_000_000_000
"""Units of a stored amount in a US dollar."""

INTERVAL: Final = 1.0
"""Seconds between two exchanges with the database: how late a server notices what another one spends."""

GRACE: Final = 60.0
"""Seconds without the database for which budgets are checked with what is known; afterwards turns are refused."""

MONTHS_KEPT: Final = 13

Key = tuple[str, str]
"""A month and a caller."""


class Spending:
    """Counts in memory, and exchanges with the database in the background. `clock` is the time since 1970."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock
        self._process = uuid4().hex
        self._own: dict[Key, int] = {}
        self._unstored: set[Key] = set()
        self._others: dict[Key, int] = {}
        self._read_at = float("-inf")

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Exchange with the database while this is entered, and once more at the end."""
        with suppress(StorageUnavailable):
            await self._remove_old()
            await self.exchange()
        try:
            async with background_loop("caller spending", self._exchange_if_possible, pause=lambda: INTERVAL):
                yield
        finally:
            await self._exchange_if_possible()

    def add(self, caller: str, dollars: float) -> None:
        """Count what a turn cost."""
        if amount := round(dollars * UNITS):
            key = self._month(), caller
            self._own[key] = self._own.get(key, 0) + amount
            self._unstored.add(key)

    def spent(self, caller: str) -> float:
        """US dollars that the caller has spent this month, as far as it is known here."""
        key = self._month(), caller
        return (self._own.get(key, 0) + self._others.get(key, 0)) / UNITS

    def check(self, caller: Caller) -> None:
        """Check the budget of the caller.

        Raises:
            QuotaExhausted: it is used up.
            StorageUnavailable: it is not known how much the caller has spent.
        """
        if caller.monthly_budget is None:
            return
        if self.spent(caller.name) >= caller.monthly_budget:
            raise QuotaExhausted(
                "Your budget for this month is used up. Ask the operator of this server for more.",
                retry_after=self.seconds_left(),
            )
        if not self.is_known:
            raise StorageUnavailable("The database is unavailable, so your budget cannot be checked. Try again soon.")

    @property
    def is_known(self) -> bool:
        """Whether what other servers and earlier runs spent is known, or was a moment ago."""
        return time.monotonic() - self._read_at < GRACE

    def seconds_left(self) -> float:
        """Seconds until the month is over."""
        now = datetime.fromtimestamp(self._clock(), UTC)
        end = datetime(now.year + now.month // 12, now.month % 12 + 1, 1, tzinfo=UTC)
        return (end - now).total_seconds()

    async def exchange(self) -> None:
        """Store what is new, and read what others have spent this month. Raises StorageUnavailable."""
        month = self._month()
        amounts = {key: self._own[key] for key in self._unstored}
        if amounts:
            async with self._database.begin() as connection:
                for (of_month, caller), amount in amounts.items():
                    row = {"month": of_month, "caller": caller, "process": self._process}
                    mine = and_(*(spending.c[name] == value for name, value in row.items()))
                    changed = await connection.execute(spending.update().where(mine).values(spent=amount))
                    if not changed.rowcount:
                        await connection.execute(spending.insert().values(**row, spent=amount))
            self._unstored -= {key for key, amount in amounts.items() if self._own[key] == amount}
        total = select(spending.c.caller, func.sum(spending.c.spent))
        total = total.where(spending.c.month == month, spending.c.process != self._process)
        async with self._database.read() as connection:
            rows = (await connection.execute(total.group_by(spending.c.caller))).all()
        self._others = {(month, caller): int(amount) for caller, amount in rows}
        self._read_at = time.monotonic()

    async def _exchange_if_possible(self) -> None:
        with suppress(StorageUnavailable):  # already logged
            await self.exchange()

    async def _remove_old(self) -> None:
        now = datetime.fromtimestamp(self._clock(), UTC)
        months = now.year * 12 + now.month - 1 - MONTHS_KEPT
        oldest = f"{months // 12:04}-{months % 12 + 1:02}"
        async with self._database.begin() as connection:
            await connection.execute(delete(spending).where(spending.c.month < oldest))

    def _month(self) -> str:
        return datetime.fromtimestamp(self._clock(), UTC).strftime("%Y-%m")
