"""The stored statistics of all servers and workers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import uuid4

from sqlalchemy import Row as SqlRow
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from agent.statistics.counts import Counts
from agent.statistics.row_writer import Row, WriteRows, open_row_writer
from agent.statistics.statistics import MINUTE, TOTAL, Snapshot
from agent.statistics.statistics_tables import resets, statistics
from agent.storage.database import Database

STALE: Final = 15
"""After so many seconds without a sign of life, the running turns of a process count as ended with it."""

MINUTES_KEPT: Final = 2 * 24 * 60
"""Minutes that are kept one by one."""

FOLD_AFTER: Final = 7 * 24 * 60 * 60
"""Totals that were not written for so many seconds become one row. A running process writes its own before each sweep;
only one that waits longer than this for the database would be counted twice.
"""


@dataclass(frozen=True, slots=True)
class Reset:
    """From when on /stats counts. `caller` is None until the first reset."""

    time: datetime
    caller: str | None


@dataclass(frozen=True, slots=True)
class Totals:
    """The counts since the last reset, and the turns that run now, over all servers and workers."""

    counts: Counts
    running: int
    since: Reset


class StatisticsStore:
    """Every method raises StorageUnavailable during an outage of the database."""

    def __init__(self, database: Database, write_rows: WriteRows) -> None:
        self._database = database
        self._write_rows = write_rows

    async def write(self, snapshot: Snapshot, now: datetime) -> None:
        """Store what one process has counted."""
        seen = int(now.timestamp())
        rows = [
            Row(snapshot.process, minute, seen, snapshot.running, counts.to_json())
            for minute, counts in snapshot.counts.items()
        ]
        if rows:
            await self._write_rows(rows)

    async def totals(self, own: Snapshot, now: datetime) -> Totals:
        """The totals, with those of this process as they are in `own`."""
        async with self._database.read() as connection:
            # In this order: totals only grow, so they are never below those of the reset.
            newest = select(resets).order_by(resets.c.id.desc()).limit(1)
            reset = (await connection.execute(newest)).one()
            rows = await _rows(connection, TOTAL, TOTAL)
        alive = [row for row in rows if row.process != own.process and abs(now.timestamp() - row.seen) <= STALE]
        running = own.running + sum(row.running for row in alive)
        whole = (await asyncio.to_thread(_summed, rows, own, TOTAL, TOTAL)).get(TOTAL, Counts())
        since = await asyncio.to_thread(whole.without, Counts.from_json(reset.counts))
        return Totals(since, running, Reset(reset.time, reset.caller))

    async def minutes(self, own: Snapshot, first: int, last: int) -> dict[int, Counts]:
        """The counts of each minute since 1970 from `first` to `last`, without those in which nothing was counted."""
        async with self._database.read() as connection:
            rows = await _rows(connection, first, last)
        return await asyncio.to_thread(_summed, rows, own, first, last)

    async def reset(self, caller: str | None, now: datetime) -> Reset:
        """Let `totals` count from now on. Nothing is erased: the totals until now are recorded.

        What other processes counted in the last second may still follow.
        """
        async with self._database.begin() as connection:
            rows = await _rows(connection, TOTAL, TOTAL)
            until_now = Counts.sum(*(Counts.from_json(row.counts) for row in rows))
            await connection.execute(resets.insert().values(time=now, caller=caller, counts=until_now.to_json()))
        return Reset(now, caller)

    async def sweep(self, now: datetime) -> None:
        """Delete old minutes, and fold old totals into one row. Several servers may do so at the same time."""
        minutes, seconds = statistics.c.minute, int(now.timestamp())
        oldest = seconds // MINUTE - MINUTES_KEPT
        old = (minutes == TOTAL) & (statistics.c.seen < seconds - FOLD_AFTER)
        async with self._database.begin() as connection:
            await connection.execute(delete(statistics).where(minutes != TOTAL, minutes < oldest))
            # Each row is returned to the one server that deletes it.
            folded = (await connection.execute(delete(statistics).where(old).returning(statistics.c.counts))).scalars()
            if total := Counts.sum(*map(Counts.from_json, folded)):
                row = {
                    "process": uuid4().hex,
                    "minute": TOTAL,
                    "seen": seconds,
                    "running": 0,
                    "counts": total.to_json(),
                }
                await connection.execute(statistics.insert().values(row))


@asynccontextmanager
async def open_statistics_store(database: Database) -> AsyncIterator[StatisticsStore]:
    async with open_row_writer(database) as write_rows:
        yield StatisticsStore(database, write_rows)


async def _rows(connection: AsyncConnection, first: int, last: int) -> Sequence[SqlRow[Any]]:
    return (await connection.execute(select(statistics).where(statistics.c.minute.between(first, last)))).all()


def _summed(rows: Sequence[SqlRow[Any]], own: Snapshot, first: int, last: int) -> dict[int, Counts]:
    """The sum over all processes of each minute, with this process's as they are in `own`."""
    minutes = {minute: Counts.sum(counts) for minute, counts in own.counts.items() if first <= minute <= last}
    for row in rows:
        if row.process != own.process or row.minute not in own.counts:
            minutes.setdefault(row.minute, Counts()).add(Counts.from_json(row.counts))
    return minutes
