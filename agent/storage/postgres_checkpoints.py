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
    """The saver, on a pool of its own."""
    async with postgres.pool(pool_size) as pool:
        yield PostgresSaver(pool, serde=serde)


class PostgresSaver(AsyncPostgresSaver):
    """Lets each operation have a connection of its own.

    The library has one lock for all, made for a single connection: with a pool every operation waits for all others,
    in an outage for as long as each of them waits in turn (https://github.com/langchain-ai/langgraph/issues/7259).
    """

    def __init__(self, conn: Any, *, serde: JsonPlusSerializer) -> None:
        super().__init__(conn, serde=serde)
        self.lock = nullcontext()  # type: ignore[assignment]

    async def adelete_thread(self, thread_id: str) -> None:
        while True:
            try:
                return await super().adelete_thread(thread_id)
            except DeadlockDetected:
                continue  # a prune of the thread was at work; it goes through, and then it is our turn

    async def keep_newest(self, thread_id: str) -> None:
        """Forget the thread's older checkpoints."""
        try:
            await self.aprune([thread_id], strategy="keep_latest")
        except (SerializationFailure, DeadlockDetected):
            pass  # another prune of the thread is at work, or a turn that will have it pruned again
