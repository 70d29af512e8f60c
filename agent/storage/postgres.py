"""PostgreSQL: how its connections are made, pooled and checked, so that a restart of it is survived."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

from psycopg import AsyncConnection, OperationalError, ProgrammingError
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from agent.storage.held_lock import Attempt
from config.errors import ConfigError, Problem

PATIENCE: Final = 5.0
"""Seconds to wait for a connection, be it a new one or one that others hold. A caller waits meanwhile."""

DEFAULTS: Final[dict[str, Any]] = {
    "application_name": "switchboard",
    "connect_timeout": 5,
    # A host that is gone without a word is noticed after about 15 s (the last is in milliseconds).
    "keepalives_idle": 5,
    "keepalives_interval": 5,
    "keepalives_count": 2,
    "tcp_user_timeout": 15_000,
}
"""Parameters of libpq; those in the address win."""

TRY_SET_UP_LOCK: Final = "SELECT pg_try_advisory_xact_lock(1398229314)"
"""The number is this program's own."""


@dataclass(frozen=True, slots=True)
class Postgres:
    """The database that the connection string names. `str()` of it has no password."""

    # Nothing is held together by a transaction that only reads; without it two round trips are saved.
    read_options: ClassVar[dict[str, Any]] = {"isolation_level": "AUTOCOMMIT"}
    conninfo: str = field(repr=False)
    name: str

    @classmethod
    def at(cls, url: str) -> Postgres:
        """Raises ConfigError when libpq cannot read `url`."""
        try:
            given = conninfo_to_dict(url)
        except ProgrammingError:  # its words may quote the password
            message = "libpq cannot read this address; write the special characters of a password as %40 and the like"
            raise ConfigError([Problem(message, key="SWITCHBOARD_DATABASE_URL")]) from None
        place = f"{given.get('host', 'localhost')}:{given.get('port', 5432)}/{given.get('dbname', '')}"
        return cls(make_conninfo("", **{**DEFAULTS, **given}), place)

    @property
    def remedy(self) -> str:
        return "See that it runs and that SWITCHBOARD_DATABASE_URL is right; without that setting a SQLite file is used"

    def __str__(self) -> str:
        return self.name

    def engine(self, pool_size: int) -> AsyncEngine:
        """An engine for the tables; it connects with its first use."""

        async def connect() -> AsyncConnection[Any]:
            # libpq reads the address here as for the pool: several hosts, sockets, any parameter.
            return await AsyncConnection.connect(self.conninfo)

        return create_async_engine(
            "postgresql+psycopg://",
            async_creator=connect,
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=PATIENCE,
            pool_pre_ping=True,
            hide_parameters=True,
        )

    def pool(self, pool_size: int) -> AsyncConnectionPool[AsyncConnection[DictRow]]:
        """A pool for the checkpoints, not yet open."""
        return _CheckedPool(
            self.conninfo,
            connection_class=AsyncConnection[DictRow],
            kwargs={"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row},
            min_size=1,
            max_size=pool_size,
            open=False,
            timeout=PATIENCE,
            # Its pauses between attempts double up to this; each caller that comes later begins anew.
            reconnect_timeout=PATIENCE,
            name="checkpoints",
        )

    @asynccontextmanager
    async def set_up_lock(self) -> AsyncIterator[Attempt]:
        """A lock that all processes see; it ends with the connection."""
        async with await AsyncConnection.connect(self.conninfo) as connection:

            async def attempt() -> bool:
                # Never pg_advisory_lock(): who waits in it holds a snapshot, which CREATE INDEX CONCURRENTLY in turn
                # waits for (https://github.com/flyway/flyway/issues/1654). For the same reason no parameter: with one
                # psycopg leaves the statement's snapshot open. And one of a transaction, because a pooler in between
                # may give each transaction another session.
                cursor = await connection.execute(TRY_SET_UP_LOCK)
                row = await cursor.fetchone()
                if taken := bool(row and row[0]):
                    return taken
                await connection.rollback()
                return False

            yield attempt


class _CheckedPool(AsyncConnectionPool[AsyncConnection[DictRow]]):
    """Gives out no connection that a restart of the server has cut off.

    The pool's own `check` pauses after each of those for one second, two, four: the first callers after a restart would
    wait in vain.
    """

    async def getconn(self, timeout: float | None = None) -> AsyncConnection[DictRow]:
        while True:
            connection = await super().getconn(timeout)
            try:
                await self.check_connection(connection)
            except OperationalError:
                await self.putconn(connection)  # which replaces it
            except BaseException:
                await self.putconn(connection)
                raise
            else:
                return connection
