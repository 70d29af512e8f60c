"""The clock of the leases, which a step of a server's wall clock does not change."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, DateTime, bindparam, func

from agent.storage.columns import UtcTime
from agent.storage.database import Database
from agent.storage.sqlite import Sqlite

LeaseClock = Callable[[], Any]
"""The time now, as a value or as an expression of SQL. All processes that share a database read the same clock."""


def lease_clock(database: Database) -> LeaseClock:
    """PostgreSQL's own clock; on SQLite, the time since the machine was started, which its processes share."""
    return _since_start if isinstance(database.backend, Sqlite) else _database_time


def sql_time(clock: LeaseClock, delay: timedelta = timedelta()) -> ColumnElement[datetime]:
    """The time `delay` after the statement is executed, which may be often."""
    now = clock()
    if isinstance(now, datetime):
        return bindparam(None, type_=UtcTime(), callable_=lambda: clock() + delay)
    later: ColumnElement[datetime] = now + delay if delay else now
    return later


def _since_start() -> datetime:
    return datetime.fromtimestamp(time.monotonic(), UTC)


def _database_time() -> ColumnElement[datetime]:
    return func.clock_timestamp(type_=DateTime(timezone=True))
