"""SQLite: one file for everything."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Final

import aiosqlite
from sqlalchemy import URL, Connection, Engine, StaticPool, create_engine, event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from agent.storage.migration_lock import TryAcquire
from config.database_url import CHECKPOINTS_FILE
from config.errors import StorageUnavailable

BUSY_TIMEOUT: Final = 5.0
"""Seconds to wait for another process's write lock, and for a connection of the pool."""

LOOK_INTERVAL: Final = 1.0
"""Seconds between two looks whether the file still exists."""

READ_ONLY: Final = "switchboard_read_only"
"""The execution option of read-only connections."""

OUTAGE_CODES: Final = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
    }
)
"""Errors of the file or its disk. All others are bugs in a statement."""


class FilePresence:
    """Whether a file exists, looked up at most once in a second."""

    def __init__(self) -> None:
        self._exists = True
        self._next_look = 0.0

    async def exists(self, path: Path) -> bool:
        now = time.monotonic()
        if now >= self._next_look:
            self._next_look = now + LOOK_INTERVAL
            self._exists = await asyncio.to_thread(path.exists)
        return self._exists


@dataclass(frozen=True, slots=True)
class Sqlite:
    """The database in the file `path`."""

    read_options: ClassVar[dict[str, Any]] = {READ_ONLY: True}
    write_options: ClassVar[dict[str, Any]] = {}
    path: Path
    _presence: FilePresence = field(default_factory=FilePresence, init=False, repr=False, compare=False)

    @property
    def checkpoints(self) -> Path:
        """The file in which earlier versions stored checkpoints."""
        return self.path.with_name(CHECKPOINTS_FILE)

    async def require_file(self) -> None:
        """Raise StorageUnavailable if the file was removed: SQLite would go on writing to the removed file."""
        if not await self._presence.exists(self.path):
            raise StorageUnavailable("The database's file is gone. Restart the server once its folder is back.")

    @property
    def hint(self) -> str:
        return f"Check that {self.path.parent} is writable, that its disk has space, and that the file is this server's"

    def __str__(self) -> str:
        return str(self.path)

    def engine(self, pool_size: int) -> AsyncEngine:
        """An engine for the tables. It opens the file on first use."""
        engine = create_async_engine(
            URL.create("sqlite+aiosqlite", database=str(self.path)),
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=BUSY_TIMEOUT,
            hide_parameters=True,
            # The driver begins transactions too late to lock out other writers: see `_begin`.
            connect_args={"timeout": BUSY_TIMEOUT, "isolation_level": None},
        )
        event.listen(engine.sync_engine, "connect", _set_pragmas)
        event.listen(engine.sync_engine, "begin", _begin)
        return engine

    def thread_engine(self) -> Engine:
        """An engine with one connection, for `SqliteThread`."""
        engine = create_engine(
            URL.create("sqlite", database=str(self.path)),
            poolclass=StaticPool,
            hide_parameters=True,
            connect_args={"timeout": BUSY_TIMEOUT, "isolation_level": None, "check_same_thread": False},
        )
        event.listen(engine, "connect", _set_pragmas)
        event.listen(engine, "begin", _begin)
        return engine

    @asynccontextmanager
    async def connection(self, path: Path, *, autocommit: bool = False) -> AsyncIterator[aiosqlite.Connection]:
        """A new connection to `path`, in WAL mode: readers and the writer do not wait for each other.

        With `autocommit`, each statement is a transaction of its own.
        """
        mode: dict[str, Any] = {"isolation_level": None} if autocommit else {}
        async with aiosqlite.connect(path, timeout=BUSY_TIMEOUT, **mode) as connection:
            for pragma in ("journal_mode=WAL", *PRAGMAS):
                await connection.execute(f"PRAGMA {pragma}")
            yield connection

    @asynccontextmanager
    async def migration_lock(self) -> AsyncIterator[TryAcquire]:
        """A lock on an empty file beside the database. It is released when the process ends."""
        lock_file = self.path.with_name(f"{self.path.name}.lock")
        async with aiosqlite.connect(lock_file, timeout=0, isolation_level=None) as connection:

            async def try_acquire() -> bool:
                try:
                    await connection.execute("BEGIN EXCLUSIVE")
                except sqlite3.OperationalError as exc:
                    if exc.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                        raise
                    return False
                return True

            yield try_acquire


# NORMAL syncs only at WAL checkpoints: a crash of the process loses nothing, a power failure at most the last commits,
# and the file is never corrupted.
PRAGMAS: Final = ("synchronous=NORMAL", "foreign_keys=ON")


def _set_pragmas(dbapi_connection: Any, _: Any) -> None:
    cursor = dbapi_connection.cursor()
    for pragma in PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: Connection) -> None:
    # A transaction that reads before it writes needs the write lock from its beginning; otherwise it fails when another
    # process writes in between.
    read_only = connection.get_execution_options().get(READ_ONLY)
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")
