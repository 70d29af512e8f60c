"""The events of a turn. Every API encodes this one stream; the events are independent of any wire format.

TextDelta* (ToolStarted* ToolFinished* TextDelta*)* (HandOff* | ReviewRequested*) Usage (TurnFinished | TurnFailed)

`ReasoningDelta` comes wherever the model thinks, if the turn's reader wants it. `Filler` comes between a `ToolStarted`
and its `ToolFinished`, if the turn's request asks for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from config.errors import SwitchboardError

FinishReason = Literal["stop", "length", "content_filter", "tool_calls", "interrupted"]


@dataclass(frozen=True, slots=True)
class TextDelta:
    """The next piece of the answer's text. Never empty. `refusal`: with these words the model refuses to answer."""

    text: str
    refusal: bool = False


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """The next piece of what the model thinks before it answers. Never spoken."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolStarted:
    """The agent calls one of its own tools, which runs in this server. OpenAI callers do not see it."""

    call_id: str
    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Filler:
    """A sentence of agent.yaml for the caller to hear while the tool call runs. It is not part of the answer."""

    text: str
    call_id: str


@dataclass(frozen=True, slots=True)
class ToolFinished:
    """The result of one of the agent's own tools, as the model sees it."""

    call_id: str
    name: str
    content: str
    ok: bool


@dataclass(frozen=True, slots=True)
class HandOff:
    """A tool call that the caller executes: a transfer, a hang-up, or one of its own tools. It ends the turn."""

    call_id: str
    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ReviewRequested:
    """A tool call needs a person's decision; `question` is for the reviewer. It ends the turn."""

    interrupt_id: str
    question: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Usage:
    """The tokens of all model calls of the turn.

    `cached_tokens` are those of the input that the providers had cached, `reasoning_tokens` those of the output that
    were thoughts; None if no provider says. `cost` is what all attempts of the turn cost, in US dollars, also those
    that failed; None if it is not known of one of them. A sum has no cost: the turn's record has it.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    cost: float | None = None

    @property
    def total_tokens(self) -> int:
        return self.input_tokens + self.output_tokens

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            _sum(self.cached_tokens, other.cached_tokens),
            _sum(self.reasoning_tokens, other.reasoning_tokens),
        )


def _sum(one: int | None, other: int | None) -> int | None:
    return one if other is None else other + (one or 0)


@dataclass(frozen=True, slots=True)
class TurnFinished:
    """The turn succeeded: "tool_calls" with hand-offs, "interrupted" with pending reviews."""

    reason: FinishReason


@dataclass(frozen=True, slots=True)
class TurnFailed:
    """The turn failed. `error` is safe to show to callers: it contains no text of a provider."""

    error: SwitchboardError


Event = (
    TextDelta
    | ReasoningDelta
    | ToolStarted
    | Filler
    | ToolFinished
    | HandOff
    | ReviewRequested
    | Usage
    | TurnFinished
    | TurnFailed
)
