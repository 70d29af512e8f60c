"""LangGraph's checkpoints in their own SQLite file."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import ChannelVersions, Checkpoint, CheckpointMetadata
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from agent.storage.sqlite import Sqlite

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

CLEAR_PARENTS: Final = "UPDATE checkpoints SET parent_checkpoint_id = NULL WHERE thread_id = ?"


@asynccontextmanager
async def sqlite_saver(sqlite: Sqlite, serde: JsonPlusSerializer) -> AsyncIterator[SqliteSaver]:
    """The saver, with its own connection."""
    async with sqlite.connection(sqlite.checkpoints) as connection:
        yield SqliteSaver(connection, serde=serde)


class SqliteSaver(AsyncSqliteSaver):
    """Rolls back a write that fails or is cancelled.

    All writes share one connection: an open transaction would block other processes until the next write.
    """

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        async with self._rollback_on_error():
            return await super().aput(config, checkpoint, metadata, new_versions)

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        async with self._rollback_on_error():
            await super().aput_writes(config, writes, task_id, task_path)

    async def adelete_thread(self, thread_id: str) -> None:
        async with self._rollback_on_error():
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
        async with self._rollback_on_error(), self.lock:
            for statement in (
                DELETE_OLDER.format(table="writes"),
                DELETE_OLDER.format(table="checkpoints"),
                CLEAR_PARENTS,
            ):
                await self.conn.execute(statement, (thread_id,))
            await self.conn.commit()

    @asynccontextmanager
    async def _rollback_on_error(self) -> AsyncIterator[None]:
        try:
            yield
        except BaseException:
            async with self.lock:
                await self.conn.rollback()
            raise
