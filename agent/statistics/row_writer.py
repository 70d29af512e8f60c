"""Writes the rows of this process, about once a second.

On SQLite it goes past SQLAlchemy, whose connections take ten times as long for it: as long as a third of a turn.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import astuple, dataclass
from typing import Final

from sqlalchemy.dialects import postgresql

from agent.statistics.statistics_tables import statistics
from agent.storage.database import Database, storage_errors
from agent.storage.sqlite import Sqlite

SQLITE_WRITE: Final = (
    "INSERT INTO statistics (process, minute, seen, running, counts) VALUES (?, ?, ?, ?, ?) "
    "ON CONFLICT (process, minute) DO UPDATE "
    "SET seen = excluded.seen, running = excluded.running, counts = excluded.counts"
)


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table `statistics`. It replaces the one of the same process and minute."""

    process: str
    minute: int
    seen: int
    running: int
    counts: str


WriteRows = Callable[[Sequence[Row]], Awaitable[None]]
"""Raises StorageUnavailable during an outage of the database; some of the rows may be written then."""


@asynccontextmanager
async def open_row_writer(database: Database) -> AsyncIterator[WriteRows]:
    backend = database.backend
    if not isinstance(backend, Sqlite):
        new = postgresql.insert(statistics)
        changed = {name: new.excluded[name] for name in ("seen", "running", "counts")}
        # Built once: building it takes SQLAlchemy longer than executing it.
        upsert = new.on_conflict_do_update(index_elements=["process", "minute"], set_=changed)
        columns = [column.name for column in statistics.columns]

        async def write_to_postgres(rows: Sequence[Row]) -> None:
            async with database.begin() as connection:
                await connection.execute(upsert, [dict(zip(columns, astuple(row), strict=True)) for row in rows])

        yield write_to_postgres
        return
    # In autocommit mode, so that a cancelled write leaves no transaction open.
    async with backend.connection(backend.path, autocommit=True) as file:

        async def write_to_sqlite(rows: Sequence[Row]) -> None:
            with storage_errors():
                await backend.require_file()
                await file.executemany(SQLITE_WRITE, [astuple(row) for row in rows])

        yield write_to_sqlite
