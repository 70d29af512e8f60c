"""The one database of a server: SQLite by default, PostgreSQL when an address is set. It is the truth for sessions."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from agent.storage.held_lock import take
from agent.storage.migrations.revision import is_current
from agent.storage.sqlite import AWAY, Sqlite
from config.database_url import SQLITE_PREFIX
from config.errors import ConfigError, Problem, StorageUnavailable

if TYPE_CHECKING:
    from agent.storage.postgres import Postgres

log = structlog.get_logger(__name__)

DEFAULT_FILE: Final = "switchboard.db"

LOOK: Final = 0.5
"""Seconds between two looks at whether the database has come up."""


@dataclass(frozen=True, slots=True)
class Database:
    """`engine` is for the tables; `backend` knows how to make further connections, up to `pool_size`."""

    engine: AsyncEngine
    backend: Sqlite | Postgres
    pool_size: int

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that writes: committed at the end of the block, rolled back when it raises.

        Raises:
            StorageUnavailable: the database is away, locked or full.
        """
        with storage_errors():
            async with self.engine.begin() as connection:
                yield connection

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A connection for statements that only read. Raises as `begin` does."""
        with storage_errors():
            async with self.engine.execution_options(**self.backend.read_options).connect() as connection:
                yield connection

    @asynccontextmanager
    async def set_up(self) -> AsyncIterator[None]:
        """Hold the lock, across all processes, under which tables are made or changed."""
        async with self.backend.set_up_lock() as attempt:
            await take(attempt, str(self.backend))
            yield


@asynccontextmanager
async def open_database(
    url: str | None, data_dir: Path, pool_size: int, startup_wait: float
) -> AsyncIterator[Database]:
    """The database at `url`, else in `data_dir`, with its tables up to date; `startup_wait` is in seconds.

    Raises:
        ConfigError: it was not reached in time, cannot be used, or is newer than this server. The password is left out.
    """
    backend = _backend(url, data_dir)
    database = Database(backend.engine(pool_size), backend, pool_size)
    try:
        if not isinstance(backend, Sqlite):
            await _reach(database, startup_wait)
        with _start_errors(backend):
            async with database.set_up():
                if isinstance(backend, Sqlite):
                    # Nobody may look at the file before: a new one becomes one in WAL mode only while it is unused.
                    async with backend.connection(backend.path):
                        pass
                await _upgrade(database.engine, str(backend))
        yield database
    finally:
        await database.engine.dispose()


async def _upgrade(engine: AsyncEngine, name: str) -> None:
    if await is_current(engine):
        return
    # Alembic takes 9 MB and a quarter of a second, and nearly every start finds nothing to do.
    from agent.storage.migrations.upgrade import upgrade

    await upgrade(engine, name)


@contextmanager
def storage_errors() -> Iterator[None]:
    """Raise StorageUnavailable for what SQLAlchemy, psycopg or sqlite3 raise when the database is away, locked or full.

    All else they raise is a bug and stays as it is.
    """
    try:
        yield
    except _errors() as exc:
        if not _is_away(exc):
            raise
        log.warning("storage_unavailable", problem=_words(exc))
        raise StorageUnavailable from exc


def _errors() -> tuple[type[Exception], ...]:
    """What the drivers raise. psycopg is loaded where a PostgreSQL is used, since it takes 9 MB."""
    psycopg = sys.modules.get("psycopg")
    return (DBAPIError, PoolTimeout, sqlite3.Error, *((psycopg.Error,) if psycopg else ()))


def _is_away(exc: BaseException | None) -> bool:
    match exc:
        case DBAPIError():
            return exc.connection_invalidated or _is_away(exc.orig)
        case PoolTimeout():
            return True
        case sqlite3.OperationalError():
            return getattr(exc, "sqlite_errorcode", 0) & 0xFF in AWAY  # the rest is the code's extension
    psycopg = sys.modules.get("psycopg")
    return psycopg is not None and isinstance(exc, (psycopg.OperationalError, psycopg.InterfaceError))


def _words(exc: BaseException) -> str:
    """What the driver says, on one line. SQLAlchemy's own words hold the statement."""
    said = exc.orig if isinstance(exc, DBAPIError) and exc.orig is not None else exc
    return " ".join(str(said).split())


def _backend(url: str | None, data_dir: Path) -> Sqlite | Postgres:
    if url is not None and not url.startswith(SQLITE_PREFIX):
        from agent.storage.postgres import Postgres

        return Postgres.at(url)
    path = data_dir / DEFAULT_FILE if url is None else Path(url.removeprefix(SQLITE_PREFIX))
    try:
        # Sessions hold what people said: the folder is for this user alone.
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as exc:
        raise _refusal(Sqlite(path), exc) from exc
    return Sqlite(path)


async def _reach(database: Database, patience: float) -> None:
    """Return as soon as the database answers."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + patience
    told = False
    while True:
        try:
            async with database.engine.connect() as connection:
                await connection.execute(select(1))
                return
        except _errors() as exc:
            if loop.time() >= deadline:
                raise _refusal(database.backend, exc) from exc
            if not told:
                log.warning("waiting_for_database", database=str(database.backend), seconds=patience, why=_words(exc))
                told = True
        await asyncio.sleep(min(LOOK, max(0.0, deadline - loop.time())))


@contextmanager
def _start_errors(backend: Sqlite | Postgres) -> Iterator[None]:
    try:
        yield
    except _errors() as exc:
        raise _refusal(backend, exc) from exc


def _refusal(backend: Sqlite | Postgres, exc: BaseException) -> ConfigError:
    message = f"the database {backend} cannot be used: {_words(exc).rstrip('.')}. {backend.remedy}."
    return ConfigError([Problem(message, key="SWITCHBOARD_DATABASE_URL")])
