"""LangGraph's checkpoints of session threads, in SQLite or PostgreSQL like the tables."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, TypeAlias

from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from agent.storage.database import Database, storage_errors
from agent.storage.sqlite import Sqlite
from agent.storage.sqlite_checkpoints import SqliteSaver, sqlite_saver
from config.errors import ConfigError, Problem

if TYPE_CHECKING:
    from agent.storage.postgres_checkpoints import PostgresSaver

Checkpoints: TypeAlias = "SqliteSaver | PostgresSaver"


@asynccontextmanager
async def open_checkpoints(database: Database) -> AsyncIterator[Checkpoints]:
    """The checkpoint saver for graphs, with its tables. Wrap calls of its methods in `storage_errors`.

    Raises:
        StorageUnavailable: the database is unavailable.
        ConfigError: a newer version of this program has written the checkpoints.
    """
    # Only messages and similar types are deserialized, so that write access to the database is no way to run code here.
    serde = JsonPlusSerializer(allowed_msgpack_modules=None)
    async with AsyncExitStack() as closing:
        with storage_errors():
            async with database.migration_lock():
                saver: Checkpoints = await closing.enter_async_context(_saver(database, serde))
                await saver.setup()
                if problem := await saver.unknown_version():
                    raise _newer(problem)
        yield saver


async def prune(saver: Checkpoints, thread_id: str) -> None:
    """Delete all checkpoints of the thread but the newest: each contains the whole list of messages.

    Raises:
        StorageUnavailable: the database is unavailable.
    """
    with storage_errors():
        await saver.keep_newest(thread_id)


async def delete_thread(saver: Checkpoints, thread_id: str) -> None:
    """Delete all checkpoints of the thread. Raises as `prune` does."""
    with storage_errors():
        await saver.adelete_thread(thread_id)


def _newer(problem: str) -> ConfigError:
    message = (
        f"{problem}: a newer version of Switchboard wrote them. Install that version again, or restore a backup from "
        "before it"
    )
    return ConfigError([Problem(message, key="SWITCHBOARD_DATABASE_URL")])


def _saver(database: Database, serde: JsonPlusSerializer) -> AbstractAsyncContextManager[Checkpoints]:
    if isinstance(database.backend, Sqlite):
        return sqlite_saver(database.backend, serde)
    from agent.storage.postgres_checkpoints import postgres_saver  # the driver needs 9 MB

    return postgres_saver(database.backend, database.pool_size, serde)
