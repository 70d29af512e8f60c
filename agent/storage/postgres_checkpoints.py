"""LangGraph's checkpoints in PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from typing import Any, Final, cast

from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from psycopg.errors import DeadlockDetected, SerializationFailure

from agent.storage.postgres import Postgres

NEWEST: Final = "SELECT v FROM checkpoint_migrations ORDER BY v DESC LIMIT 1"


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
