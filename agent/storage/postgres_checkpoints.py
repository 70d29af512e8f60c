"""LangGraph's checkpoints in PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, nullcontext
from typing import Any, Final, cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import ChannelVersions, Checkpoint, CheckpointMetadata
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from psycopg.errors import DeadlockDetected, SerializationFailure

from agent.storage.fence import ClaimedThread, claimed_thread
from agent.storage.postgres import Postgres
from config.errors import LeaseLost

NEWEST: Final = "SELECT v FROM checkpoint_migrations ORDER BY v DESC LIMIT 1"

NEWEST_CLAIM: Final = "SELECT 1 FROM sessions WHERE thread_id = %s AND claims = %s FOR KEY SHARE"
"""The lock makes the next claim wait for the end of the transaction, which `IDLE_TIMEOUT` bounds. It does not hinder
the renewal of the lease."""


@asynccontextmanager
async def postgres_saver(postgres: Postgres, pool_size: int, serde: JsonPlusSerializer) -> AsyncIterator[PostgresSaver]:
    """The saver, with its own connection pool."""
    async with postgres.pool(pool_size) as pool:
        yield PostgresSaver(pool, serde=serde)


class PostgresSaver(AsyncPostgresSaver):
    """Runs operations concurrently, each on its own connection, and writes only for the newest claim of a session.

    The library's lock is made for a single connection: with a pool, every operation waits for all others, and in an
    outage their timeouts add up (https://github.com/langchain-ai/langgraph/issues/7259).
    """

    def __init__(self, conn: Any, *, serde: JsonPlusSerializer) -> None:
        super().__init__(conn, serde=serde)
        self.lock = nullcontext()  # type: ignore[assignment]

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        if (thread := claimed_thread(config)) is None:
            return await super().aput(config, checkpoint, metadata, new_versions)
        async with self._write(thread) as saver:
            return await saver.aput(config, checkpoint, metadata, new_versions)

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        if (thread := claimed_thread(config)) is None:
            return await super().aput_writes(config, writes, task_id, task_path)
        async with self._write(thread) as saver:
            await saver.aput_writes(config, writes, task_id, task_path)

    async def wait_for_writers(self) -> None:
        """Nothing to do: the claim itself has waited for them, see `NEWEST_CLAIM`."""

    async def unknown_version(self) -> str | None:
        """What is wrong with the version of the checkpoints' tables; None if it is known."""
        async with cast(Any, self.conn).connection() as connection:
            row = await (await connection.execute(NEWEST)).fetchone()
        known = len(self.MIGRATIONS) - 1
        if row is None or row["v"] <= known:
            return None
        return f"the checkpoints' tables have version {row['v']}, and this version knows up to {known}"

    async def adelete_thread(self, thread_id: str) -> None:
        while True:
            try:
                return await super().adelete_thread(thread_id)
            except DeadlockDetected:
                continue  # a concurrent prune of the thread won; it completes before the next attempt

    async def keep_newest(self, thread_id: str) -> None:
        """Delete all checkpoints of the thread but the newest."""
        try:
            await self.aprune([thread_id], strategy="keep_latest")
        except (SerializationFailure, DeadlockDetected):
            pass  # another prune of the thread runs, or a turn after which it is pruned again

    @asynccontextmanager
    async def _write(self, thread: ClaimedThread) -> AsyncIterator[AsyncPostgresSaver]:
        """A saver in a transaction of its own. Raises LeaseLost if the session of `thread` has a newer claim."""
        async with cast(Any, self.conn).connection() as connection, connection.transaction():
            newest = await connection.execute(NEWEST_CLAIM, (thread.thread_id, thread.claim))
            if await newest.fetchone() is None:
                raise LeaseLost
            yield AsyncPostgresSaver(connection, serde=self.serde)
