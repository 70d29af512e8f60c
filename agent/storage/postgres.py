"""PostgreSQL: opens, pools and checks connections, so that the server survives a restart of the database."""

from __future__ import annotations

import asyncio
import os
import select
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar, Final

from psycopg import AsyncConnection, OperationalError, ProgrammingError
from psycopg import Error as PsycopgError
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import DictRow, Row, dict_row
from psycopg_pool import AsyncConnectionPool
from sqlalchemy import Dialect, event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from agent.storage.answer_deadline import ANSWER_TIMEOUT, one_deadline, remaining
from agent.storage.migration_lock import TryAcquire
from config.errors import ConfigError, Problem

CONNECTION_TIMEOUT: Final = ANSWER_TIMEOUT
"""Seconds to wait for a connection of a pool. A caller waits meanwhile."""

FRESH_TIME: Final = 1.0
"""Seconds. A connection that has been idle for longer is asked whether it is still alive, which takes a round trip."""

IDLE_TIMEOUT: Final = "SET idle_in_transaction_session_timeout = '5s'"
"""A process that is frozen in a transaction holds its locks no longer. Not in `DEFAULTS`: connection poolers refuse it
there."""

DEFAULTS: Final[dict[str, Any]] = {
    "application_name": "switchboard",
    "connect_timeout": 5,
    # A host that disappears silently is noticed after about 15 s (the last value is in milliseconds).
    "keepalives_idle": 5,
    "keepalives_interval": 5,
    "keepalives_count": 2,
    "tcp_user_timeout": 15_000,
}
"""libpq parameters; those in the URL take precedence."""

TRY_MIGRATION_LOCK: Final = "SELECT pg_try_advisory_xact_lock(1398229314)"
"""The number is specific to this program."""


@dataclass(frozen=True, slots=True)
class Postgres:
    """The database of a connection string. `str()` does not show the password."""

    # A single statement needs no transaction; without one, two round trips are saved.
    read_options: ClassVar[dict[str, Any]] = {}
    write_options: ClassVar[dict[str, Any]] = {"isolation_level": "READ COMMITTED"}
    conninfo: str = field(repr=False)
    name: str

    @classmethod
    def from_url(cls, url: str) -> Postgres:
        """Raises ConfigError when libpq cannot parse `url`."""
        try:
            given = conninfo_to_dict(url)
        except ProgrammingError:  # its message may contain the password
            message = (
                "libpq cannot parse this URL; percent-encode special characters in the password, such as %40 for @"
            )
            raise ConfigError([Problem(message, key="SWITCHBOARD_DATABASE_URL")]) from None
        place = f"{given.get('host', 'localhost')}:{given.get('port', 5432)}/{given.get('dbname', '')}"
        return cls(make_conninfo("", **{**DEFAULTS, **given}), place)

    @property
    def hint(self) -> str:
        return "Check that it runs and that SWITCHBOARD_DATABASE_URL is correct; without that setting SQLite is used"

    def __str__(self) -> str:
        return self.name

    def engine(self, pool_size: int) -> AsyncEngine:
        """An engine for the tables. It connects on first use."""

        async def connect() -> AsyncConnection[Any]:
            # libpq parses the string, as for the pool: several hosts, sockets, any parameter.
            try:
                async with asyncio.timeout(remaining()):
                    connection = await BoundedConnection.connect(self.conninfo)
                    try:
                        await _limit_idle(connection)
                    except BaseException:
                        await connection.close()
                        raise
                    return connection
            except TimeoutError as exc:
                raise OperationalError("the server takes connections, but does not answer") from exc

        engine = create_async_engine(
            "postgresql+psycopg://",
            async_creator=connect,
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=CONNECTION_TIMEOUT,
            hide_parameters=True,
            isolation_level="AUTOCOMMIT",
            skip_autocommit_rollback=True,
        )
        event.listen(engine.sync_engine, "checkout", partial(_check, engine.sync_engine.dialect))
        return engine

    def pool(self, pool_size: int) -> AsyncConnectionPool[BoundedConnection[DictRow]]:
        """A pool for the checkpoints. It is not open yet."""
        return _CheckedPool(
            self.conninfo,
            connection_class=BoundedConnection[DictRow],
            kwargs={"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row},
            min_size=1,
            max_size=pool_size,
            open=False,
            configure=_limit_idle,
            timeout=CONNECTION_TIMEOUT,
            # The pauses between attempts double up to this; each later caller starts again.
            reconnect_timeout=CONNECTION_TIMEOUT,
            name="checkpoints",
        )

    @asynccontextmanager
    async def migration_lock(self) -> AsyncIterator[TryAcquire]:
        """An advisory lock that is released with the connection."""
        async with await AsyncConnection.connect(self.conninfo) as connection:

            async def try_acquire() -> bool:
                # Not pg_advisory_lock(): while it waits it holds a snapshot, for which CREATE INDEX CONCURRENTLY waits
                # (https://github.com/flyway/flyway/issues/1654). Without parameters for the same reason: with one,
                # psycopg leaves the statement's snapshot open. A transaction-level lock, because a connection pooler
                # may use another session for each transaction.
                cursor = await connection.execute(TRY_MIGRATION_LOCK)
                row = await cursor.fetchone()
                if row and row[0]:
                    return True
                await connection.rollback()
                return False

            yield try_acquire


def _check(dialect: Dialect, connection: Any, *_: Any) -> None:
    """Replace a connection that was lost while it was idle."""
    if connection.driver_connection.is_fresh():
        return
    try:
        dialect.do_ping(connection)
    except OperationalError as exc:
        raise DisconnectionError from exc


async def _limit_idle(connection: AsyncConnection[Any]) -> None:
    await connection.execute(IDLE_TIMEOUT)
    if not connection.autocommit:
        await connection.commit()


class BoundedConnection(AsyncConnection[Row]):
    """Fails when the server does not answer a statement in time, see `answer_deadline`.

    A cancellation would not do: psycopg then asks the server to cancel the statement, and waits for its answer.
    """

    _last_answer = 0.0

    async def wait(self, *args: Any, **kwargs: Any) -> Any:
        loop = asyncio.get_running_loop()
        timer = None if (seconds := remaining()) is None else loop.call_later(seconds, self._hang_up)
        try:
            answer = await super().wait(*args, **kwargs)
        finally:
            if timer is not None:
                timer.cancel()
        self._last_answer = loop.time()
        return answer

    def is_fresh(self) -> bool:
        """Whether the server has just answered and has not closed the connection since; costs no round trip.

        An idle server sends nothing, so what can be read is the end of the connection.
        """
        if asyncio.get_running_loop().time() - self._last_answer > FRESH_TIME:
            return False
        try:
            readable, _, _ = select.select([self.fileno()], [], [], 0)
        except (OSError, ValueError, PsycopgError):
            return False
        return not readable

    def _hang_up(self) -> None:
        """Shut the socket down; what waits for it fails as if the server had closed the connection."""
        with suppress(OSError, PsycopgError), socket.socket(fileno=os.dup(self.fileno())) as line:
            line.shutdown(socket.SHUT_RDWR)


class _CheckedPool(AsyncConnectionPool[BoundedConnection[DictRow]]):
    """Never returns a connection that a restart of the database has closed.

    The pool's own `check` pauses for 1, 2, 4 s after each closed connection, so that the first callers after a restart
    would time out.
    """

    async def getconn(self, timeout: float | None = None) -> BoundedConnection[DictRow]:
        with one_deadline():
            while True:
                left = remaining()
                connection = await super().getconn(timeout if left is None else max(left, 0.001))
                if connection.is_fresh():
                    return connection
                try:
                    await self.check_connection(connection)
                except OperationalError:
                    await self.putconn(connection)  # the pool replaces it
                except BaseException:
                    await self.putconn(connection)
                    raise
                else:
                    return connection
