"""Vector search over a user's memories.

Memories are embedded in the background, so that no turn waits for it. A memory without a vector is not found here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any, Final
from uuid import UUID

import structlog
from sqlalchemy import and_, or_, select, update

from agent.memory.embeddings import CooldownEmbedder, nearest
from agent.memory.memories_table import NEWEST_FIRST, memories
from agent.storage.database import Database
from config.errors import RequestError, SwitchboardError

log = structlog.get_logger(__name__)

QUERY_TIMEOUT: Final = 2.0
"""Seconds that a turn waits for the vector of its query."""

BACKGROUND_TIMEOUT: Final = 30.0
"""Seconds that the background waits for the vectors of one batch."""

BATCH: Final = 50
"""Memories in one batch."""

MAX_ROWS_ON_LOOP: Final = 40
"""Rows that are compared on the event loop, in about 2 ms. More are compared in a thread."""

REFUSED: Final = b""
"""Stored as the vector of a content that the model refuses, so that it is not embedded again."""


class MemoryIndex:
    """Finds memories by meaning. Close it before the database."""

    def __init__(self, database: Database, embedder: CooldownEmbedder) -> None:
        self._database = database
        self._embedder = embedder
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._asked: set[str] = set()

    async def nearest(self, user_id: str, query: str, limit: int) -> list[UUID]:
        """The ids of the most similar memories, best first; none when `query` cannot be embedded.

        Raises:
            StorageUnavailable: the database is unavailable.
        """
        try:
            vectors = await self._embedder.embed([query], QUERY_TIMEOUT)
        except RequestError as error:
            log.info("query_not_embedded", reason=str(error))
            return []
        if vectors is None:
            return []
        rows = await self._rows(user_id)
        self.embed_later(user_id)
        search = partial(nearest, vectors[0], rows, limit)
        return search() if len(rows) <= MAX_ROWS_ON_LOOP else await asyncio.to_thread(search)

    def embed_later(self, user_id: str) -> None:
        """Embed the user's memories that have no vector, in the background, in one task per user."""
        self._asked.add(user_id)  # a task that has just looked for the last time is started again
        if user_id not in self._tasks:
            task = asyncio.create_task(self._embed_missing(user_id), name="memories: embed")
            self._tasks[user_id] = task
            task.add_done_callback(partial(self._on_done, user_id))

    async def aclose(self) -> None:
        """Cancel the background tasks; a later search starts them again."""
        for task in self._tasks.values():
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks.values())

    async def _rows(self, user_id: str) -> list[tuple[UUID, bytes]]:
        embedded = and_(memories.c.embedding_model == self._embedder.space, memories.c.embedding.is_not(None))
        wanted = select(memories.c.id, memories.c.embedding).where(memories.c.user_id == user_id, embedded)
        async with self._database.read() as connection:
            return [(row.id, row.embedding) for row in await connection.execute(wanted.order_by(*NEWEST_FIRST))]

    async def _embed_missing(self, user_id: str) -> None:
        self._asked.discard(user_id)
        while rows := await self._without_vector(user_id):
            space = self._embedder.space
            vectors = await self._vectors([content for _, content in rows])
            if vectors is None:
                return
            async with self._database.begin() as connection:
                for (memory_id, _), vector in zip(rows, vectors, strict=True):
                    await connection.execute(
                        update(memories)
                        .where(memories.c.id == memory_id)
                        .values(embedding=vector, embedding_model=space)
                    )

    async def _without_vector(self, user_id: str) -> list[tuple[UUID, str]]:
        outdated = or_(memories.c.embedding.is_(None), memories.c.embedding_model != self._embedder.space)
        wanted = select(memories.c.id, memories.c.content).where(memories.c.user_id == user_id, outdated)
        async with self._database.read() as connection:
            found = await connection.execute(wanted.order_by(*NEWEST_FIRST).limit(BATCH))
            return [(row.id, row.content) for row in found]

    async def _vectors(self, contents: Sequence[str]) -> list[bytes] | None:
        """One vector for each content, None on a failure. A refused content does not affect the others."""
        try:
            return await self._embedder.embed(contents, BACKGROUND_TIMEOUT)
        except RequestError as error:
            if len(contents) == 1:
                log.warning("memory_not_embedded", reason=str(error))
                return [REFUSED]
        vectors: list[bytes] = []
        for content in contents:
            if (vector := await self._vectors([content])) is None:
                return None
            vectors += vector
        return vectors

    def _on_done(self, user_id: str, task: asyncio.Task[Any]) -> None:
        del self._tasks[user_id]
        if task.cancelled():
            return
        if (error := task.exception()) is None:
            if user_id in self._asked:
                self.embed_later(user_id)
        elif isinstance(error, SwitchboardError):
            log.warning("memories_not_embedded", reason=str(error))
        else:
            log.error("embedding_memories_crashed", exc_info=error)
