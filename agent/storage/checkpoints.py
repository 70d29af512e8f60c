"""LangGraph's checkpoints of session threads, in the database of the sessions."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from agent.storage.database import Database, storage_errors
from agent.storage.earlier_checkpoints import UnknownFormat, earlier_in_postgres, earlier_in_sqlite, require_known
from agent.storage.sqlite import Sqlite
from agent.storage.sqlite_thread_rows import SqliteThreadRows
from agent.storage.thread_rows import ThreadRows
from agent.storage.thread_saver import ThreadSaver
from config.errors import ConfigError, Problem


@asynccontextmanager
async def open_checkpoints(database: Database) -> AsyncIterator[ThreadSaver]:
    """The checkpoint saver for graphs. Wrap calls of its methods in `storage_errors`.

    Raises:
        StorageUnavailable: the database is unavailable.
        ConfigError: a newer version of this program has written the checkpoints.
    """
    # Only messages and similar types are deserialized, so that write access to the database is no way to run code here.
    serde = JsonPlusSerializer(allowed_msgpack_modules=None)
    async with AsyncExitStack() as closing:
        with storage_errors():
            try:
                async with database.migration_lock():
                    saver = await _open(database, serde, closing)
            except UnknownFormat as exc:
                raise _newer(exc) from exc
        yield saver


async def delete_thread(saver: ThreadSaver, thread_id: str) -> None:
    """Delete all of the thread. Raises StorageUnavailable when the database is unavailable."""
    with storage_errors():
        await saver.adelete_thread(thread_id)


async def _open(database: Database, serde: JsonPlusSerializer, closing: AsyncExitStack) -> ThreadSaver:
    rows: ThreadRows
    if isinstance(database.backend, Sqlite):
        rows = SqliteThreadRows(database)
        earlier = await closing.enter_async_context(earlier_in_sqlite(database.backend, serde))
    else:
        from agent.storage.postgres_thread_rows import PostgresThreadRows  # the driver needs 9 MB

        pool = await closing.enter_async_context(database.backend.pool(database.pool_size))
        rows = PostgresThreadRows(pool)
        earlier = await earlier_in_postgres(pool, serde)
    require_known(await rows.newest_format())
    return ThreadSaver(rows, earlier, serde=serde)


def _newer(problem: UnknownFormat) -> ConfigError:
    message = (
        f"{problem}: a newer version of Switchboard wrote them. Install that version again, or restore a backup from "
        "before it"
    )
    return ConfigError([Problem(message, key="SWITCHBOARD_DATABASE_URL")])
