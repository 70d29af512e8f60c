"""The clock of the leases, which a step of a server's wall clock does not change."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from agent.storage.database import Database
from agent.storage.sqlite import Sqlite

LeaseClock = Callable[[AsyncConnection], Awaitable[datetime]]
"""The time now. All processes that share a database read the same clock."""


def lease_clock(database: Database) -> LeaseClock:
    """PostgreSQL's own clock; on SQLite, the time since the machine was started, which its processes share."""
    return _since_start if isinstance(database.backend, Sqlite) else _database_time


async def _since_start(_: AsyncConnection) -> datetime:
    return datetime.fromtimestamp(time.monotonic(), UTC)


async def _database_time(connection: AsyncConnection) -> datetime:
    now: datetime = (await connection.execute(select(func.clock_timestamp()))).scalar_one()
    return now
