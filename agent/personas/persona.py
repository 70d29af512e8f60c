"""A persona, its conversations and their messages, as they are stored. The API calls a persona an agent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

MODEL_PREFIX: Final = "agent:"
"""`agent:<id or name>` names a persona as a model."""

PARAMS: Final = ("temperature", "max_tokens", "frequency_penalty", "presence_penalty")


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonaFields:
    """What a caller says of a persona. `context` is the system prompt, `first_message` the assistant's opening.

    `model` None means the default. Of the sampling parameters, None leaves the value to the provider. `tools` None
    means those of agent.yaml. A conversation ends after `max_turns`; None means never.
    """

    context: str
    first_message: str = ""
    response_shape: str = ""
    instructions: str = ""
    name: str | None = None
    model: str | None = None
    temperature: float | None = 0.5
    max_tokens: int | None = 1000
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    tools: tuple[str, ...] | None = None
    max_turns: int | None = None

    @property
    def params(self) -> Mapping[str, Any]:
        """OpenAI's sampling parameters."""
        return {name: value for name in PARAMS if (value := getattr(self, name)) is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Persona(PersonaFields):
    """A stored persona. Times are timezone-aware, in UTC.

    `owner` is the caller that made it, if that caller sees only its own.
    """

    id: str
    created: datetime
    owner: str | None = None

    @property
    def shown_name(self) -> str:
        return self.name or self.id

    @property
    def model_name(self) -> str:
        """The name in the list of models."""
        return f"{MODEL_PREFIX}{self.shown_name}"

    @property
    def model_names(self) -> tuple[str, ...]:
        """All names under which it is a model."""
        return self.model_name, f"{MODEL_PREFIX}{self.id}"


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation with the persona `agent_id`."""

    id: str
    agent_id: str
    created: datetime


@dataclass(frozen=True, slots=True)
class Exchange:
    """A user's message with its answer. `number` counts the exchanges of the conversation, from 1."""

    id: str
    conversation_id: str
    number: int
    created: datetime
    user_message: str
    agent_message: str
