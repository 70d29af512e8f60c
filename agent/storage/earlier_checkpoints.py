"""Checkpoints of earlier versions, which stored them with LangGraph's own savers. They are only read and deleted.

A thread moves to the rows of `agent.storage.thread_rows` with the first turn that writes to it; its earlier checkpoints
stay until it is deleted.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from agent.storage.sqlite import Sqlite

if TYPE_CHECKING:
    from agent.storage.postgres_thread_rows import Pool

Earlier = BaseCheckpointSaver[str] | None
"""LangGraph's saver for what earlier versions stored, None when they stored nothing."""

CHECKPOINT_FORMAT: Final = 4
"""The newest value of LangGraph's `Checkpoint["v"]` that this version reads; a test compares it."""

NEWEST_SQLITE: Final = "SELECT type, checkpoint FROM checkpoints ORDER BY rowid DESC LIMIT 1"
TABLES_SQLITE: Final = "SELECT count(*) FROM sqlite_master WHERE name IN ('checkpoints', 'writes')"
TABLES_POSTGRES: Final = "SELECT to_regclass('checkpoint_migrations') IS NOT NULL AS found"
NEWEST_POSTGRES: Final = "SELECT max(v) AS v FROM checkpoint_migrations"


class UnknownFormat(Exception):
    """A newer version of this program wrote the checkpoints; the message says what is unknown."""


def require_known(version: int) -> None:
    """Raise UnknownFormat for a `Checkpoint["v"]` that this version does not know."""
    if version > CHECKPOINT_FORMAT:
        raise UnknownFormat(f"the checkpoints have format {version}, and this version knows up to {CHECKPOINT_FORMAT}")


@asynccontextmanager
async def earlier_in_sqlite(
    sqlite: Sqlite, serde: JsonPlusSerializer
) -> AsyncIterator[BaseCheckpointSaver[str] | None]:
    """The saver of the file that earlier versions wrote, None without one. Raises UnknownFormat."""
    if not await asyncio.to_thread(sqlite.checkpoints.exists):
        yield None
        return
    from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

    async with sqlite.connection(sqlite.checkpoints) as connection:
        tables = await (await connection.execute(TABLES_SQLITE)).fetchone()
        if tables is None or tables[0] < 2:
            yield None
            return
        newest = await (await connection.execute(NEWEST_SQLITE)).fetchone()
        require_known(serde.loads_typed((newest[0], newest[1]))["v"] if newest else 0)
        saver = AsyncSqliteSaver(connection, serde=serde)
        await saver.setup()
        yield saver


async def earlier_in_postgres(pool: Pool, serde: JsonPlusSerializer) -> Earlier:
    """The saver of the tables that earlier versions wrote, None without them. Raises UnknownFormat."""
    async with pool.connection() as connection:
        found = await (await connection.execute(TABLES_POSTGRES)).fetchone()
        if not found or not found["found"]:
            return None
        newest = await (await connection.execute(NEWEST_POSTGRES)).fetchone()
    from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver

    known = len(AsyncPostgresSaver.MIGRATIONS) - 1
    version = (newest and newest["v"]) or 0
    if version > known:
        raise UnknownFormat(f"the checkpoints' tables have version {version}, and this version knows up to {known}")
    saver = AsyncPostgresSaver(pool, serde=serde)  # type: ignore[arg-type]  # its connections are of a subclass
    await saver.setup()
    return saver
