"""What is remembered of the user, as one turn reads it."""

from __future__ import annotations

from collections.abc import Sequence

import structlog
from langchain_core.messages import AnyMessage, HumanMessage

from agent.memory.long_term import LongTermMemory
from config.errors import StorageUnavailable

log = structlog.get_logger(__name__)


class Recollection:
    """What the prompt says about `user_id`: looked up once in a turn, by what the user said last.

    A turn goes on without it while the database is away.
    """

    def __init__(self, memory: LongTermMemory, user_id: str, limit: int) -> None:
        self._memory = memory
        self._user_id = user_id
        self._limit = limit
        self._text: str | None = None

    async def text(self, messages: Sequence[AnyMessage]) -> str:
        """The addition to the system prompt, "" when nothing is known."""
        if self._text is None:
            query = next((str(each.text) for each in reversed(messages) if isinstance(each, HumanMessage)), "")
            try:
                self._text = await self._memory.for_prompt(self._user_id, query, limit=self._limit)
            except StorageUnavailable:
                log.warning("turn_without_memories", reason="the database is away")
                self._text = ""
        return self._text
