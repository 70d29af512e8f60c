"""The rows of threads in SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection

from agent.storage.database import Database
from agent.storage.thread_rows import CheckpointRow, Place, StoredThread, ThreadChange, WriteRow

TABLES: Final = ("threads", "thread_messages", "thread_writes")

HERE: Final = "thread_id = ? AND checkpoint_ns = ?"

FENCE: Final = "SELECT 1 FROM sessions WHERE thread_id = ? AND claims = ?"
"""The transaction has the write lock, so no claim comes between this and its end."""

PUT_CHECKPOINT: Final = """
INSERT INTO threads (thread_id, checkpoint_ns, checkpoint_id, format, length, type, state) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (thread_id, checkpoint_ns) DO UPDATE SET checkpoint_id = excluded.checkpoint_id,
format = excluded.format, length = excluded.length, type = excluded.type, state = excluded.state
"""

PUT_MESSAGE: Final = """
INSERT INTO thread_messages (thread_id, checkpoint_ns, position, type, message) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (thread_id, checkpoint_ns, position) DO UPDATE SET type = excluded.type, message = excluded.message
"""

# Errors and interrupts replace earlier ones of their task; other writes stay as they were first.
PUT_WRITE: Final = """
INSERT INTO thread_writes (thread_id, checkpoint_ns, checkpoint_id, task_id, idx, task_path, channel, type, value)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (thread_id, checkpoint_ns, checkpoint_id, task_id, idx) DO UPDATE
SET channel = excluded.channel, type = excluded.type, value = excluded.value WHERE thread_writes.idx < 0
"""

CHECKPOINT: Final = f"SELECT checkpoint_id, format, length, type, state FROM threads WHERE {HERE}"  # noqa: S608
MESSAGES: Final = f"SELECT type, message FROM thread_messages WHERE {HERE} ORDER BY position"  # noqa: S608
WRITES: Final = (
    "SELECT checkpoint_id, task_id, idx, task_path, channel, type, value FROM thread_writes "  # noqa: S608
    f"WHERE {HERE} AND checkpoint_id = ? ORDER BY task_path, task_id, idx"
)
CUT_MESSAGES: Final = f"DELETE FROM thread_messages WHERE {HERE} AND position >= ?"  # noqa: S608
CUT_WRITES: Final = f"DELETE FROM thread_writes WHERE {HERE} AND checkpoint_id < ?"  # noqa: S608
NEWEST_FORMAT: Final = "SELECT max(format) FROM threads"


class SqliteThreadRows:
    """The rows in the database's own file, written in its thread."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self, place: Place) -> StoredThread | None:
        return await self._database.run(partial(_load, place), read_only=True)

    async def store(self, change: ThreadChange) -> bool:
        return await self._database.run(partial(_store, change))

    async def delete(self, thread_id: str) -> None:
        await self._delete([f"DELETE FROM {table} WHERE thread_id = ?" for table in TABLES], [(thread_id,)])  # noqa: S608

    async def delete_subgraphs(self, thread_id: str, namespaces: Sequence[str]) -> None:
        places: list[Any] = [(thread_id, each) for each in namespaces]
        await self._delete([f"DELETE FROM {table} WHERE {HERE}" for table in TABLES], places)  # noqa: S608

    async def newest_format(self) -> int:
        return await self._database.run(_newest_format, read_only=True)

    async def _delete(self, statements: Sequence[str], parameters: list[Any]) -> None:
        def delete(connection: Connection) -> None:
            for statement in statements:
                _driver(connection).executemany(statement, parameters)

        await self._database.run(delete)


def _driver(connection: Connection) -> sqlite3.Connection:
    """SQLAlchemy would take ten times as long for statements as short as these."""
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)  # noqa: S101  (for the type checker)
    return driver


def _newest_format(connection: Connection) -> int:
    (newest,) = _driver(connection).execute(NEWEST_FORMAT).fetchone()
    return newest or 0


def _load(place: Place, connection: Connection) -> StoredThread | None:
    execute = _driver(connection).execute
    found = execute(CHECKPOINT, place).fetchone()
    if found is None:
        return None
    checkpoint_id, format_, length, type_, state = found
    return StoredThread(
        CheckpointRow(checkpoint_id, format_, length, (type_, state)),
        execute(MESSAGES, place).fetchall(),
        [_write_row(*each) for each in execute(WRITES, (*place, checkpoint_id))],
    )


def _write_row(
    checkpoint_id: str, task_id: str, idx: int, task_path: str, channel: str, type_: str, value: bytes
) -> WriteRow:
    return WriteRow(checkpoint_id, task_id, idx, task_path, channel, (type_, value))


def _store(change: ThreadChange, connection: Connection) -> bool:
    driver, place = _driver(connection), change.place
    if change.claim is not None and not driver.execute(FENCE, (place.thread_id, change.claim)).fetchone():
        return False
    if (row := change.checkpoint) is not None:
        driver.execute(PUT_CHECKPOINT, (*place, row.checkpoint_id, row.format, row.length, *row.state))
        driver.execute(CUT_MESSAGES, (*place, row.length or 0))
        driver.execute(CUT_WRITES, (*place, row.checkpoint_id))
    driver.executemany(PUT_MESSAGE, [(*place, position, *message) for position, message in change.messages.items()])
    driver.executemany(
        PUT_WRITE,
        [
            (*place, each.checkpoint_id, each.task_id, each.idx, each.task_path, each.channel, *each.value)
            for each in change.writes
        ],
    )
    return True
