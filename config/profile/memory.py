"""The parts of agent.yaml that say what the agent remembers: `trim` within a conversation, `memory` across them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, model_validator

from config.reading.sections import NotBool, Section

Limit = Annotated[int, Field(ge=1), NotBool]


@dataclass(frozen=True, slots=True)
class Trim:
    """How much of a conversation the model is sent; exactly one of the limits is set.

    `max_tokens` (estimated) covers all that is sent, `max_messages` what follows the system prompt. With `summarize` a
    running summary stands for what falls out.
    """

    max_tokens: int | None = None
    max_messages: int | None = None
    summarize: bool = False


@dataclass(frozen=True, slots=True)
class MemoryPolicy:
    """Whether the agent remembers users across conversations.

    `embedding_model` is the group of models.yaml by which memories that fit a question are found; without one the
    newest are taken. `recall` is how many of them the prompt gets.
    """

    long_term: bool = False
    embedding_model: str | None = None
    recall: int = 5


class TrimSection(Section):
    """How much of a conversation the model is sent."""

    max_tokens: Limit | None = Field(None, description="All that is sent, system prompt included; an estimate.")
    max_messages: Limit | None = Field(None, description="Messages after the system prompt.")
    summarize: bool = Field(False, description="Put a running summary in the place of what falls out.")

    @model_validator(mode="after")
    def _one_limit(self) -> TrimSection:
        if (self.max_tokens is None) == (self.max_messages is None):
            raise ValueError("must have one of max_tokens and max_messages")
        return self

    @property
    def value(self) -> Trim:
        return Trim(self.max_tokens, self.max_messages, self.summarize)


class MemorySection(Section):
    """Whether the agent remembers users across conversations."""

    long_term: bool = Field(False, description="Remember facts about each user.")
    embedding_model: Annotated[str, Field(min_length=1)] | None = Field(
        None, description="A group of models.yaml with `model_info: {mode: embedding}`. Left out: the newest are taken."
    )
    recall: Annotated[int, Field(ge=1, le=100), NotBool] = Field(5, description="How many memories the prompt gets.")

    @model_validator(mode="after")
    def _embeds_for_something(self) -> MemorySection:
        if self.embedding_model is not None and not self.long_term:
            raise ValueError("embedding_model has no use without long_term: true")
        return self

    @property
    def value(self) -> MemoryPolicy:
        return MemoryPolicy(self.long_term, self.embedding_model, self.recall)
