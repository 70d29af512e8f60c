"""Which of a user's memories come nearest to a question.

Memories are embedded in the background, so that no turn waits for it; one that has no vector yet is not found here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any, Final
from uuid import UUID

import structlog
from sqlalchemy import and_, or_, select, update

from agent.memory.embeddings import PatientEmbedder, nearest
from agent.memory.memories_table import NEWEST_FIRST, memories
from agent.storage.database import Database
from config.errors import RequestError, SwitchboardError

log = structlog.get_logger(__name__)

QUERY_PATIENCE: Final = 2.0
"""Seconds that a turn waits for its question's vector."""

BACKGROUND_PATIENCE: Final = 30.0

BATCH: Final = 50
"""Memories that are embedded at once."""

ON_THE_LOOP: Final = 40
"""Rows that are compared within about 2 ms; more are compared in a thread."""

REFUSED: Final = b""
"""The vector of a content that the model refuses: near nothing, and not asked for again."""


class Recall:
    """Finds memories by their meaning. Close it before the database."""

    def __init__(self, database: Database, embedder: PatientEmbedder) -> None:
        self._database = database
        self._embedder = embedder
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def nearest(self, user_id: str, query: str, limit: int) -> list[UUID]:
        """The ids of the nearest memories, best first; none while the embedder is away or refuses the question.

        Raises:
            StorageUnavailable: the database is away.
        """
        try:
            vectors = await self._embedder.embed([query], QUERY_PATIENCE)
        except RequestError as error:
            log.info("question_not_embedded", reason=str(error))
            return []
        if vectors is None:
            return []
        rows = await self._rows(user_id)
        self.embed_later(user_id)
        search = partial(nearest, vectors[0], rows, limit)
        return search() if len(rows) <= ON_THE_LOOP else await asyncio.to_thread(search)

    def embed_later(self, user_id: str) -> None:
        """Embed in the background what the user's memories lack; one such task a user runs at a time."""
        if user_id not in self._tasks:
            task = asyncio.create_task(self._embed_missing(user_id), name="memories: embed")
            self._tasks[user_id] = task
            task.add_done_callback(partial(self._done, user_id))

    async def settle(self) -> None:
        """Wait until the background has come to rest."""
        while self._tasks:
            await asyncio.wait(self._tasks.values())

    async def aclose(self) -> None:
        """Stop the work in the background; a later search takes it up again."""
        for task in self._tasks.values():
            task.cancel()
        await self.settle()

    async def _rows(self, user_id: str) -> list[tuple[UUID, bytes]]:
        embedded = and_(memories.c.embedding_model == self._embedder.space, memories.c.embedding.is_not(None))
        wanted = select(memories.c.id, memories.c.embedding).where(memories.c.user_id == user_id, embedded)
        async with self._database.read() as connection:
            return [(row.id, row.embedding) for row in await connection.execute(wanted.order_by(*NEWEST_FIRST))]

    async def _embed_missing(self, user_id: str) -> None:
        while rows := await self._lacking(user_id):
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

    async def _lacking(self, user_id: str) -> list[tuple[UUID, str]]:
        lacking = or_(memories.c.embedding.is_(None), memories.c.embedding_model != self._embedder.space)
        wanted = select(memories.c.id, memories.c.content).where(memories.c.user_id == user_id, lacking)
        async with self._database.read() as connection:
            found = await connection.execute(wanted.order_by(*NEWEST_FIRST).limit(BATCH))
            return [(row.id, row.content) for row in found]

    async def _vectors(self, contents: Sequence[str]) -> list[bytes] | None:
        """One for each content, None while the embedder is away. One that is refused must not hold up the others."""
        try:
            return await self._embedder.embed(contents, BACKGROUND_PATIENCE)
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

    def _done(self, user_id: str, task: asyncio.Task[Any]) -> None:
        del self._tasks[user_id]
        if task.cancelled() or (error := task.exception()) is None:
            return
        if isinstance(error, SwitchboardError):
            log.warning("memories_not_embedded", reason=str(error))
        else:
            log.error("embedding_memories_crashed", exc_info=error)
