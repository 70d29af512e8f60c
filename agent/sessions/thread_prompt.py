"""The prompt of a turn on a stored thread."""

from __future__ import annotations

from collections.abc import Sequence

from langchain_core.messages import AnyMessage, SystemMessage

from agent.memory.summary import RunningSummary, fit_to_limit
from agent.memory.trim import estimated_tokens
from agent.memory.turn_memories import TurnMemories
from agent.personas.persona import PersonaFields
from agent.personas.prompt import in_front_of
from config.profile.memory import Trim


class ThreadPrompt:
    """The system prompt with the user's memories, then as much of the thread as `trim` allows, and what else belongs
    to the `persona`.

    `dropped` are the messages that the last model call left out and that `summary` does not cover yet.
    """

    def __init__(
        self,
        prompt: str,
        memories: TurnMemories | None,
        trim: Trim | None,
        summary: RunningSummary | None,
        persona: PersonaFields | None = None,
    ) -> None:
        self._prompt = prompt
        self._memories = memories
        self._trim = trim
        self._persona = persona
        self.summary = summary
        self.dropped: list[AnyMessage] = []

    async def __call__(self, messages: Sequence[AnyMessage]) -> list[AnyMessage]:
        memories = await self._memories.text(messages) if self._memories else ""
        conversation: list[AnyMessage] = [SystemMessage("\n\n".join(filter(None, (self._prompt, memories)))), *messages]
        if self._trim is not None:
            fitted = fit_to_limit(conversation, self._trim, self.summary, estimated_tokens)
            self.dropped = fitted.dropped
            conversation = fitted.messages
        return in_front_of(self._persona, conversation) if self._persona else conversation

    @property
    def summary_is_due(self) -> bool:
        """Whether messages were dropped and agent.yaml asks for a summary of them."""
        return bool(self.dropped) and self._trim is not None and self._trim.summarize
