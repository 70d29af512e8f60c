"""The user's memories for one turn."""

from __future__ import annotations

from collections.abc import Sequence

import structlog
from langchain_core.messages import AnyMessage, HumanMessage

from agent.memory.long_term import LongTermMemory
from config.errors import StorageUnavailable

log = structlog.get_logger(__name__)


class TurnMemories:
    """The memories of `user_id` that match the user's last message, looked up once per turn.

    While the database is unavailable the turn runs without memories.
    """

    def __init__(self, memory: LongTermMemory, user_id: str, limit: int) -> None:
        self._memory = memory
        self._user_id = user_id
        self._limit = limit
        self._text: str | None = None

    async def text(self, messages: Sequence[AnyMessage]) -> str:
        """The addition to the system prompt, "" without memories."""
        if self._text is None:
            query = next((str(each.text) for each in reversed(messages) if isinstance(each, HumanMessage)), "")
            try:
                self._text = await self._memory.for_prompt(self._user_id, query, limit=self._limit)
            except StorageUnavailable:
                log.warning("turn_without_memories", reason="the database is unavailable")
                self._text = ""
        return self._text
