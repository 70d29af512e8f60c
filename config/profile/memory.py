"""`trim` and `memory` of agent.yaml: context limits and long-term memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, model_validator

from config.parsing.sections import NotBool, Positive, Section


@dataclass(frozen=True, slots=True)
class Trim:
    """How much of a conversation is sent to the model; exactly one of the limits is set.

    `max_tokens` is an estimate and includes the system prompt; `max_messages` counts the messages after it. With
    `summarize`, a running summary replaces the dropped messages.
    """

    max_tokens: int | None = None
    max_messages: int | None = None
    summarize: bool = False


@dataclass(frozen=True, slots=True)
class MemorySettings:
    """Long-term memory of users across conversations.

    `recall` is the number of memories in the prompt. `embedding_model` is the group of models.yaml that finds the
    memories relevant to a question; None takes the newest.
    """

    long_term: bool = False
    embedding_model: str | None = None
    recall: int = 5


class TrimSection(Section):
    """How much of a conversation is sent to the model."""

    max_tokens: Positive | None = Field(None, description="Estimated tokens, including the system prompt.")
    max_messages: Positive | None = Field(None, description="Messages after the system prompt.")
    summarize: bool = Field(False, description="Replace dropped messages with a running summary.")

    @model_validator(mode="after")
    def _one_limit(self) -> TrimSection:
        if (self.max_tokens is None) == (self.max_messages is None):
            raise ValueError("must have exactly one of max_tokens and max_messages")
        return self

    @property
    def value(self) -> Trim:
        return Trim(self.max_tokens, self.max_messages, self.summarize)


class MemorySection(Section):
    """Long-term memory of users across conversations."""

    long_term: bool = Field(False, description="Remember facts about each user.")
    embedding_model: Annotated[str, Field(min_length=1)] | None = Field(
        None, description="A group of models.yaml with `model_info: {mode: embedding}`. Default: use the newest."
    )
    recall: Annotated[int, Field(ge=1, le=100), NotBool] = Field(5, description="Number of memories in the prompt.")

    @model_validator(mode="after")
    def _embedding_needs_long_term(self) -> MemorySection:
        if self.embedding_model is not None and not self.long_term:
            raise ValueError("embedding_model requires long_term: true")
        return self

    @property
    def value(self) -> MemorySettings:
        return MemorySettings(self.long_term, self.embedding_model, self.recall)
