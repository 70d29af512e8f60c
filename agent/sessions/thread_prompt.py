"""The prompt of a turn on a stored thread."""

from __future__ import annotations

from collections.abc import Sequence

from langchain_core.messages import AnyMessage, SystemMessage

from agent.memory.recollection import Recollection
from agent.memory.summary import RunningSummary, fitted
from agent.memory.trim import estimated_tokens
from config.profile.memory import Trim


class ThreadPrompt:
    """The system prompt with what is known of the user, then as much of the thread as `trim` allows.

    `dropped` are the messages that the last call left out and that no `summary` covers yet.
    """

    def __init__(
        self, prompt: str, recollection: Recollection | None, trim: Trim | None, summary: RunningSummary | None
    ) -> None:
        self._prompt = prompt
        self._recollection = recollection
        self._trim = trim
        self.summary = summary
        self.dropped: list[AnyMessage] = []

    async def __call__(self, messages: Sequence[AnyMessage]) -> list[AnyMessage]:
        known = await self._recollection.text(messages) if self._recollection else ""
        whole = [SystemMessage("\n\n".join(filter(None, (self._prompt, known)))), *messages]
        if self._trim is None:
            return whole
        shown = fitted(whole, self._trim, self.summary, estimated_tokens)
        self.dropped = shown.dropped
        return shown.messages

    @property
    def summary_is_due(self) -> bool:
        """Something fell out, and agent.yaml wants it summed up."""
        return bool(self.dropped) and self._trim is not None and self._trim.summarize
