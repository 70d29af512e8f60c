"""SQLite: one file for the tables and one beside it for the checkpoints, so that the two writers do not wait for each
other.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

import aiosqlite
from sqlalchemy import URL, Connection, event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from agent.storage.held_lock import Attempt
from config.database_url import CHECKPOINTS_FILE

BUSY: Final = 5.0
"""Seconds that a writer waits for one of another process, and for a connection of its own."""

READS: Final = "switchboard_reads"
"""The execution option of a connection that only reads."""

AWAY: Final = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
    }
)
"""What is wrong with the file or its disk; all else is a bug in a statement."""


@dataclass(frozen=True, slots=True)
class Sqlite:
    """The database in the file `path`."""

    read_options: ClassVar[dict[str, Any]] = {READS: True}
    path: Path

    @property
    def checkpoints(self) -> Path:
        return self.path.with_name(CHECKPOINTS_FILE)

    @property
    def remedy(self) -> str:
        return f"See that {self.path.parent} can be written, that its disk has room, and that the file is this server's"

    def __str__(self) -> str:
        return str(self.path)

    def engine(self, pool_size: int) -> AsyncEngine:
        """An engine for the tables; it opens the file with its first use."""
        engine = create_async_engine(
            URL.create("sqlite+aiosqlite", database=str(self.path)),
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=BUSY,
            hide_parameters=True,
            # The driver's own transactions begin too late to keep another writer out: see `_begin`.
            connect_args={"timeout": BUSY, "isolation_level": None},
        )
        event.listen(engine.sync_engine, "connect", _prepare)
        event.listen(engine.sync_engine, "begin", _begin)
        return engine

    @asynccontextmanager
    async def connection(self, path: Path) -> AsyncIterator[aiosqlite.Connection]:
        """A connection of its own to `path`, in WAL mode: readers and the writer do not wait for each other."""
        async with aiosqlite.connect(path, timeout=BUSY) as connection:
            for pragma in ("journal_mode=WAL", *PRAGMAS):
                await connection.execute(f"PRAGMA {pragma}")
            yield connection

    @asynccontextmanager
    async def set_up_lock(self) -> AsyncIterator[Attempt]:
        """A lock that all processes see, on an empty file beside the database; it ends with the process."""
        lock_file = self.path.with_name(f"{self.path.name}.lock")
        async with aiosqlite.connect(lock_file, timeout=0, isolation_level=None) as connection:

            async def attempt() -> bool:
                try:
                    await connection.execute("BEGIN EXCLUSIVE")
                except sqlite3.OperationalError as exc:
                    if exc.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                        raise
                    return False
                return True

            yield attempt


# NORMAL syncs at checkpoints of the WAL alone: a crash of the process loses nothing, a power cut at most the last
# commits, and never the file's integrity.
PRAGMAS: Final = ("synchronous=NORMAL", "foreign_keys=ON")


def _prepare(dbapi_connection: Any, _: Any) -> None:
    cursor = dbapi_connection.cursor()
    for pragma in PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: Connection) -> None:
    # A transaction that reads before it writes must hold the write lock from its beginning, or it fails as soon as
    # another process has written in between.
    reads = connection.get_execution_options().get(READS)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")
