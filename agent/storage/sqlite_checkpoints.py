"""LangGraph's checkpoints in their own SQLite file."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import aiosqlite
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import ChannelVersions, Checkpoint, CheckpointMetadata
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from agent.storage.fence import ClaimedThread, claimed_thread
from agent.storage.sqlite import Sqlite
from config.errors import LeaseLost

DELETE_OLDER: Final = """
DELETE FROM {table} WHERE thread_id = ? AND checkpoint_id < (
    SELECT max(checkpoint_id) FROM checkpoints AS kept
    WHERE kept.thread_id = {table}.thread_id AND kept.checkpoint_ns = {table}.checkpoint_ns
)
"""
"""Ids increase with time. Newer rows stay: writes may be stored before their checkpoint."""

CHECKPOINT_FORMAT: Final = 4
"""The newest value of LangGraph's `Checkpoint["v"]` that this version has read; a test compares it."""

NEWEST: Final = "SELECT type, checkpoint FROM checkpoints ORDER BY rowid DESC LIMIT 1"

LOCK: Final = "DELETE FROM writes WHERE false"
"""Begins a transaction with the write lock of the checkpoints. BEGIN IMMEDIATE would lock the tables, too."""

NEWEST_CLAIM: Final = "SELECT 1 FROM tables.sessions WHERE thread_id = ? AND claims = ?"

CLEAR_PARENTS: Final = "UPDATE checkpoints SET parent_checkpoint_id = NULL WHERE thread_id = ?"


@asynccontextmanager
async def sqlite_saver(sqlite: Sqlite, serde: JsonPlusSerializer) -> AsyncIterator[SqliteSaver]:
    """The saver, with its own connection."""
    async with sqlite.checkpoints_connection() as connection:
        yield SqliteSaver(connection, serde=serde)


class SqliteSaver(AsyncSqliteSaver):
    """Writes only for the newest claim of a session, and rolls back a write that fails or is cancelled.

    All writes share one connection: an open transaction would block other processes until the next write.
    """

    def __init__(self, conn: aiosqlite.Connection, *, serde: JsonPlusSerializer) -> None:
        super().__init__(conn, serde=serde)
        self._writing = asyncio.Lock()

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        async with self._write(claimed_thread(config)):
            return await super().aput(config, checkpoint, metadata, new_versions)

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        async with self._write(claimed_thread(config)):
            await super().aput_writes(config, writes, task_id, task_path)

    async def adelete_thread(self, thread_id: str) -> None:
        async with self._write():
            await super().adelete_thread(thread_id)

    async def unknown_version(self) -> str | None:
        """What is wrong with the format of the checkpoint that was written last; None if it is known."""
        async with self.lock, self.conn.execute(NEWEST) as rows:
            row = await rows.fetchone()
        version = self.serde.loads_typed((row[0], row[1]))["v"] if row else 0
        if version <= CHECKPOINT_FORMAT:
            return None
        return f"the checkpoints have format {version}, and this version knows up to {CHECKPOINT_FORMAT}"

    async def keep_newest(self, thread_id: str) -> None:
        """Delete all checkpoints of the thread but the newest."""
        async with self._write(), self.lock:
            for statement in (
                DELETE_OLDER.format(table="writes"),
                DELETE_OLDER.format(table="checkpoints"),
                CLEAR_PARENTS,
            ):
                await self.conn.execute(statement, (thread_id,))
            await self.conn.commit()

    async def wait_for_writers(self) -> None:
        """Wait until no write is under way that was checked before now."""
        async with self._write():
            await self.conn.execute(LOCK)
            await self.conn.commit()

    @asynccontextmanager
    async def _write(self, thread: ClaimedThread | None = None) -> AsyncIterator[None]:
        """The block's transaction. Raises LeaseLost if the session of `thread` has a newer claim."""
        async with self._writing:
            try:
                if thread is not None:
                    await self._check(thread)
                yield
            except BaseException:
                await self.conn.rollback()
                raise

    async def _check(self, thread: ClaimedThread) -> None:
        # The write lock comes first: whoever waits for it knows that no checked write comes after its own claim.
        await self.conn.execute(LOCK)
        if not await self.conn.execute_fetchall(NEWEST_CLAIM, (thread.thread_id, thread.claim)):
            raise LeaseLost
