"""The rows of threads in PostgreSQL. Each operation is one statement: one round trip, and a transaction of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from psycopg.rows import DictRow
from psycopg_pool import AsyncConnectionPool

from agent.storage.postgres import BoundedConnection
from agent.storage.thread_rows import CheckpointRow, Place, StoredThread, ThreadChange, WriteRow

CLAIMED: Final = """
SELECT thread_id FROM sessions WHERE thread_id = %(thread_id)s AND claims = %(claim)s FOR KEY SHARE
"""
"""The lock makes the next claim wait for the end of the statement. It does not hinder the renewal of the lease."""

UNCLAIMED: Final = "SELECT %(thread_id)s::text AS thread_id"

HERE: Final = "thread_id = fence.thread_id AND checkpoint_ns = %(checkpoint_ns)s"

PUT_CHECKPOINT: Final = f"""
, put_checkpoint AS (
    INSERT INTO threads (thread_id, checkpoint_ns, checkpoint_id, format, length, type, state)
    SELECT thread_id, %(checkpoint_ns)s, %(checkpoint_id)s, %(format)s, %(length)s, %(type)s, %(state)s FROM fence
    ON CONFLICT (thread_id, checkpoint_ns) DO UPDATE SET checkpoint_id = excluded.checkpoint_id,
    format = excluded.format, length = excluded.length, type = excluded.type, state = excluded.state
), cut_messages AS (
    DELETE FROM thread_messages USING fence
    WHERE thread_messages.{HERE} AND position >= coalesce(%(length)s, 0)
), cut_writes AS (
    DELETE FROM thread_writes USING fence WHERE thread_writes.{HERE} AND checkpoint_id < %(checkpoint_id)s
)"""  # noqa: S608  (constants of this module)

PUT_MESSAGES: Final = """
, put_messages AS (
    INSERT INTO thread_messages (thread_id, checkpoint_ns, position, type, message)
    SELECT thread_id, %(checkpoint_ns)s, new.* FROM fence,
    unnest(%(positions)s::int[], %(types)s::text[], %(messages)s::bytea[]) AS new
    ON CONFLICT (thread_id, checkpoint_ns, position) DO UPDATE SET type = excluded.type, message = excluded.message
)"""

# Errors and interrupts replace earlier ones of their task; other writes stay as they were first.
PUT_WRITES: Final = """
, put_writes AS (
    INSERT INTO thread_writes
    (thread_id, checkpoint_ns, checkpoint_id, task_id, idx, task_path, channel, type, value)
    SELECT thread_id, %(checkpoint_ns)s, new.* FROM fence, unnest(
        %(write_ids)s::text[], %(task_ids)s::text[], %(idxs)s::int[], %(task_paths)s::text[], %(channels)s::text[],
        %(write_types)s::text[], %(values)s::bytea[]
    ) AS new
    ON CONFLICT (thread_id, checkpoint_ns, checkpoint_id, task_id, idx) DO UPDATE
    SET channel = excluded.channel, type = excluded.type, value = excluded.value WHERE thread_writes.idx < 0
)"""

LOAD: Final = """
SELECT checkpoint_id, format, length, type, state, ARRAY(
    SELECT ARRAY[m.type::bytea, m.message] FROM thread_messages m
    WHERE m.thread_id = t.thread_id AND m.checkpoint_ns = t.checkpoint_ns ORDER BY position
) AS messages, ARRAY(
    SELECT ARRAY[
        w.checkpoint_id::bytea, w.task_id::bytea, w.idx::text::bytea, convert_to(w.task_path, 'UTF8'),
        convert_to(w.channel, 'UTF8'), w.type::bytea, w.value
    ] FROM thread_writes w
    WHERE w.thread_id = t.thread_id AND w.checkpoint_ns = t.checkpoint_ns AND w.checkpoint_id = t.checkpoint_id
    ORDER BY task_path, task_id, idx
) AS writes FROM threads t WHERE thread_id = %s AND checkpoint_ns = %s
"""

DELETE: Final = """
WITH gone AS (DELETE FROM threads WHERE thread_id = %(thread_id)s),
said AS (DELETE FROM thread_messages WHERE thread_id = %(thread_id)s)
DELETE FROM thread_writes WHERE thread_id = %(thread_id)s
"""

DELETE_SUBGRAPHS: Final = """
WITH gone AS (DELETE FROM threads WHERE thread_id = %(thread_id)s AND checkpoint_ns = ANY(%(namespaces)s)),
said AS (DELETE FROM thread_messages WHERE thread_id = %(thread_id)s AND checkpoint_ns = ANY(%(namespaces)s))
DELETE FROM thread_writes WHERE thread_id = %(thread_id)s AND checkpoint_ns = ANY(%(namespaces)s)
"""

Pool = AsyncConnectionPool[BoundedConnection[DictRow]]


class PostgresThreadRows:
    """The rows, on any free connection of the `pool`: threads do not wait for each other."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def load(self, place: Place) -> StoredThread | None:
        row = await self._one(LOAD, place)
        if row is None:
            return None
        return StoredThread(
            CheckpointRow(row["checkpoint_id"], row["format"], row["length"], (row["type"], row["state"])),
            [(type_.decode(), message) for type_, message in row["messages"]],
            [_write_row(each) for each in row["writes"]],
        )

    async def store(self, change: ThreadChange) -> bool:
        parts = [CLAIMED if change.claim is not None else UNCLAIMED, ")"]
        values: dict[str, Any] = {**change.place.by_name(), "claim": change.claim}
        if (row := change.checkpoint) is not None:
            parts.append(PUT_CHECKPOINT)
            values |= {"checkpoint_id": row.checkpoint_id, "format": row.format, "length": row.length}
            values |= {"type": row.state[0], "state": row.state[1]}
        if change.messages:
            parts.append(PUT_MESSAGES)
            values |= {"positions": list(change.messages), "types": [each for each, _ in change.messages.values()]}
            values["messages"] = [each for _, each in change.messages.values()]
        if change.writes:
            parts.append(PUT_WRITES)
            values |= _columns(change.writes)
        parts = ["WITH fence AS (", *parts, " SELECT 1 AS fenced FROM fence"]
        return await self._one("".join(parts), values) is not None

    async def delete(self, thread_id: str) -> None:
        async with self._pool.connection() as connection:
            await connection.execute(DELETE, {"thread_id": thread_id})

    async def delete_subgraphs(self, thread_id: str, namespaces: Sequence[str]) -> None:
        async with self._pool.connection() as connection:
            await connection.execute(DELETE_SUBGRAPHS, {"thread_id": thread_id, "namespaces": list(namespaces)})

    async def newest_format(self) -> int:
        row = await self._one("SELECT max(format) AS newest FROM threads", ())
        return (row and row["newest"]) or 0

    async def _one(self, statement: str, values: Any) -> DictRow | None:
        async with self._pool.connection() as connection:
            cursor = await connection.execute(statement, values, binary=True)
            return await cursor.fetchone()


def _columns(writes: Sequence[WriteRow]) -> dict[str, list[Any]]:
    return {
        "write_ids": [each.checkpoint_id for each in writes],
        "task_ids": [each.task_id for each in writes],
        "idxs": [each.idx for each in writes],
        "task_paths": [each.task_path for each in writes],
        "channels": [each.channel for each in writes],
        "write_types": [each.value[0] for each in writes],
        "values": [each.value[1] for each in writes],
    }


def _write_row(values: Sequence[bytes]) -> WriteRow:
    checkpoint_id, task_id, idx, task_path, channel, type_ = (each.decode() for each in values[:6])
    return WriteRow(checkpoint_id, task_id, int(idx), task_path, channel, (type_, values[6]))
