"""LangGraph's checkpoints in a SQLite file of their own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import ChannelVersions, Checkpoint, CheckpointMetadata
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from agent.storage.sqlite import Sqlite

OLDER: Final = """
DELETE FROM {table} WHERE thread_id = ? AND checkpoint_id < (
    SELECT max(checkpoint_id) FROM checkpoints AS kept
    WHERE kept.thread_id = {table}.thread_id AND kept.checkpoint_ns = {table}.checkpoint_ns
)
"""
"""Ids rise with the time. What is newer stays: writes may be stored before the checkpoint that they belong to."""

ORPHANED: Final = "UPDATE checkpoints SET parent_checkpoint_id = NULL WHERE thread_id = ?"


@asynccontextmanager
async def sqlite_saver(sqlite: Sqlite, serde: JsonPlusSerializer) -> AsyncIterator[SqliteSaver]:
    """The saver, on a connection of its own."""
    async with sqlite.connection(sqlite.checkpoints) as connection:
        yield SqliteSaver(connection, serde=serde)


class SqliteSaver(AsyncSqliteSaver):
    """Leaves no transaction open when a write fails or is cancelled.

    All share one connection, so an open one would keep the writers of other processes out until the next write here.
    """

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        async with self._whole():
            return await super().aput(config, checkpoint, metadata, new_versions)

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        async with self._whole():
            await super().aput_writes(config, writes, task_id, task_path)

    async def adelete_thread(self, thread_id: str) -> None:
        async with self._whole():
            await super().adelete_thread(thread_id)

    async def keep_newest(self, thread_id: str) -> None:
        """Forget the thread's older checkpoints."""
        async with self._whole(), self.lock:
            for statement in (OLDER.format(table="writes"), OLDER.format(table="checkpoints"), ORPHANED):
                await self.conn.execute(statement, (thread_id,))
            await self.conn.commit()

    @asynccontextmanager
    async def _whole(self) -> AsyncIterator[None]:
        try:
            yield
        except BaseException:
            async with self.lock:
                await self.conn.rollback()
            raise
