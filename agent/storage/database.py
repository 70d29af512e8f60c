"""The server's database: SQLite by default, PostgreSQL when a URL is set."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import structlog
from sqlalchemy import Connection, Executable, Row, Select, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from agent.storage.answer_deadline import no_deadline, one_deadline
from agent.storage.migration_lock import acquire
from agent.storage.migrations.revision import is_current
from agent.storage.sqlite import OUTAGE_CODES, Sqlite
from agent.storage.sqlite_thread import SqliteThread
from config.database_url import SQLITE_PREFIX
from config.errors import ConfigError, Problem, StorageUnavailable

if TYPE_CHECKING:
    from agent.storage.postgres import Postgres

log = structlog.get_logger(__name__)

T = TypeVar("T")

DEFAULT_FILE: Final = "switchboard.db"

LASTING_ERRORS: Final = {
    sqlite3.SQLITE_CORRUPT: "The database's file is damaged. The operator has to restore it from a backup.",
    sqlite3.SQLITE_NOTADB: "The database's file is damaged. The operator has to restore it from a backup.",
    sqlite3.SQLITE_CANTOPEN: "The database's file cannot be opened. The operator finds the reason in the log.",
}
"""What callers are told of SQLite errors that do not pass by themselves."""

POLL_INTERVAL: Final = 0.5
"""Seconds between two attempts to connect at start-up."""


@dataclass(frozen=True, slots=True)
class Database:
    """`engine` is for the tables. `backend` opens further connections, up to `pool_size`.

    `reading` and `writing` are the engine with the options of the backend. On SQLite, `thread` runs what a turn does:
    it is several times cheaper than a connection of `engine`.
    """

    engine: AsyncEngine
    backend: Sqlite | Postgres
    pool_size: int
    thread: SqliteThread | None = None
    reading: AsyncEngine = field(init=False)
    writing: AsyncEngine = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "reading", self.engine.execution_options(**self.backend.read_options))
        object.__setattr__(self, "writing", self.engine.execution_options(**self.backend.write_options))

    async def run(self, work: Callable[[Connection], T], *, read_only: bool = False) -> T:
        """Run `work`, a function without `await`, in a transaction. Raises as `begin` does."""
        if self.thread is None:
            async with self.begin() as connection:
                return await connection.run_sync(work)
        assert isinstance(self.backend, Sqlite)  # noqa: S101  (for the type checker)
        with storage_errors():
            await self.backend.require_file()
            return await self.thread.run(work, read_only=read_only)

    async def execute(self, statement: Executable, parameters: Mapping[str, Any] | None = None) -> Sequence[Row[Any]]:
        """The rows of one statement, in a transaction of its own. Raises as `begin` does."""
        if self.thread is not None:
            read_only = isinstance(statement, Select)
            return await self.run(
                lambda connection: connection.execute(statement, parameters).all(), read_only=read_only
            )
        async with self.read() as connection:
            return (await connection.execute(statement, parameters)).all()

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncConnection]:
        """A write transaction: committed at the end of the block, rolled back when it raises.

        Raises:
            StorageUnavailable: the database is unreachable, locked or full.
        """
        async with self._connection(self.writing) as connection, connection.begin():
            yield connection

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A connection for read-only statements. Raises as `begin` does."""
        async with self._connection(self.reading) as connection:
            yield connection

    @asynccontextmanager
    async def _connection(self, engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
        with storage_errors():
            if isinstance(self.backend, Sqlite):
                await self.backend.require_file()
            async with AsyncExitStack() as closing:
                with one_deadline():
                    connection = await closing.enter_async_context(engine.connect())
                yield connection

    @asynccontextmanager
    async def migration_lock(self) -> AsyncIterator[None]:
        """Hold the lock for creating and migrating tables. Only one process at a time has it."""
        with no_deadline():
            async with self.backend.migration_lock() as try_acquire:
                await acquire(try_acquire, str(self.backend))
                yield


@asynccontextmanager
async def open_database(
    url: str | None, data_dir: Path, pool_size: int, startup_wait: float
) -> AsyncIterator[Database]:
    """Open the database at `url`, or in `data_dir` without one, and migrate its tables.

    Raises:
        ConfigError: the database was not reachable within `startup_wait` seconds, cannot be used, or is newer than this
            server. The message does not contain the password.
    """
    backend = _backend(url, data_dir)
    thread = SqliteThread(backend.thread_engine()) if isinstance(backend, Sqlite) else None
    database = Database(backend.engine(pool_size), backend, pool_size, thread)
    try:
        if not isinstance(backend, Sqlite):
            await _wait_until_reachable(database, startup_wait)
        async with AsyncExitStack() as locked:
            with _start_errors(backend):
                await locked.enter_async_context(database.migration_lock())
            if isinstance(backend, Sqlite):
                await _open_files(backend)
            with _start_errors(backend):
                await _upgrade(database.writing, str(backend))
        yield database
    finally:
        if thread is not None:
            await thread.aclose()
        await database.engine.dispose()


async def _open_files(backend: Sqlite) -> None:
    """A new file can switch to WAL mode only before any other connection opens it."""
    earlier = [backend.checkpoints] if await asyncio.to_thread(backend.checkpoints.exists) else []
    for path in (backend.path, *earlier):
        with _start_errors(replace(backend, path=path)):
            async with backend.connection(path):
                pass


async def _upgrade(engine: AsyncEngine, name: str) -> None:
    if await is_current(engine):
        return
    # Alembic needs 9 MB and a quarter of a second, and nearly every start has nothing to migrate.
    from agent.storage.migrations.upgrade import upgrade

    await upgrade(engine, name)


@contextmanager
def storage_errors() -> Iterator[None]:
    """Raise StorageUnavailable when a driver reports that the database is unreachable, locked or full.

    Other errors of SQLAlchemy, psycopg and sqlite3 are bugs and propagate unchanged.
    """
    try:
        yield
    except _driver_errors() as exc:
        if not _is_outage(exc):
            raise
        log.warning("storage_unavailable", problem=_driver_message(exc))
        message = LASTING_ERRORS.get(_sqlite_code(exc))
        raise (StorageUnavailable(message) if message else StorageUnavailable()) from exc


def _driver_errors() -> tuple[type[Exception], ...]:
    """The drivers' exceptions. psycopg needs 9 MB and is only imported when PostgreSQL is used."""
    psycopg = sys.modules.get("psycopg")
    return (DBAPIError, PoolTimeout, sqlite3.Error, *((psycopg.Error,) if psycopg else ()))


def _is_outage(exc: BaseException | None) -> bool:
    match exc:
        case DBAPIError():
            return exc.connection_invalidated or _is_outage(exc.orig)
        case PoolTimeout():
            return True
        case sqlite3.DatabaseError():
            return _sqlite_code(exc) in OUTAGE_CODES
    psycopg = sys.modules.get("psycopg")
    if psycopg is None:
        return False
    lost = (psycopg.OperationalError, psycopg.InterfaceError, psycopg.errors.IdleInTransactionSessionTimeout)
    return isinstance(exc, lost)


def _sqlite_code(exc: BaseException | None) -> int:
    error = exc.orig if isinstance(exc, DBAPIError) else exc
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF  # the low byte is the primary code


def _driver_message(exc: BaseException) -> str:
    """The driver's message, on one line. SQLAlchemy's own message contains the statement."""
    error = exc.orig if isinstance(exc, DBAPIError) and exc.orig is not None else exc
    return " ".join(str(error).split())


def _backend(url: str | None, data_dir: Path) -> Sqlite | Postgres:
    if url is not None and not url.startswith(SQLITE_PREFIX):
        from agent.storage.postgres import Postgres

        return Postgres.from_url(url)
    path = data_dir / DEFAULT_FILE if url is None else Path(url.removeprefix(SQLITE_PREFIX))
    try:
        # Only this user may read the folder: it contains conversations.
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as exc:
        raise _config_error(Sqlite(path), exc) from exc
    return Sqlite(path)


async def _wait_until_reachable(database: Database, timeout: float) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout
    logged = False
    while True:
        try:
            async with database.engine.connect() as connection:
                await connection.execute(select(1))
                return
        except _driver_errors() as exc:
            if loop.time() >= deadline:
                raise _config_error(database.backend, exc) from exc
            if not logged:
                log.warning(
                    "waiting_for_database",
                    database=str(database.backend),
                    seconds=timeout,
                    reason=_driver_message(exc),
                )
                logged = True
        await asyncio.sleep(min(POLL_INTERVAL, max(0.0, deadline - loop.time())))


@contextmanager
def _start_errors(backend: Sqlite | Postgres) -> Iterator[None]:
    try:
        yield
    except _driver_errors() as exc:
        raise _config_error(backend, exc) from exc


def _config_error(backend: Sqlite | Postgres, exc: BaseException) -> ConfigError:
    message = f"the database {backend} cannot be used: {_driver_message(exc).rstrip('.')}. {backend.hint}."
    return ConfigError([Problem(message, key="SWITCHBOARD_DATABASE_URL")])
