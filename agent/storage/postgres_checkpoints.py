"""LangGraph's checkpoints in PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from typing import Any

from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from psycopg.errors import DeadlockDetected, SerializationFailure

from agent.storage.postgres import Postgres


@asynccontextmanager
async def postgres_saver(postgres: Postgres, pool_size: int, serde: JsonPlusSerializer) -> AsyncIterator[PostgresSaver]:
    """The saver, with its own connection pool."""
    async with postgres.pool(pool_size) as pool:
        yield PostgresSaver(pool, serde=serde)


class PostgresSaver(AsyncPostgresSaver):
    """Runs operations concurrently, each on its own connection.

    The library's lock is made for a single connection: with a pool, every operation waits for all others, and in an
    outage their timeouts add up (https://github.com/langchain-ai/langgraph/issues/7259).
    """

    def __init__(self, conn: Any, *, serde: JsonPlusSerializer) -> None:
        super().__init__(conn, serde=serde)
        self.lock = nullcontext()  # type: ignore[assignment]

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
