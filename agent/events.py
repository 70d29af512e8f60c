"""What happens in a turn, as values. Every API encodes this one stream; nothing in it knows a wire format.

TextDelta* (ToolStarted* ToolFinished* TextDelta*)* (HandOff* | ReviewRequested*) Usage (TurnFinished | TurnFailed)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from config.errors import SwitchboardError

FinishReason = Literal["stop", "length", "content_filter", "tool_calls", "interrupted"]


@dataclass(frozen=True, slots=True)
class TextDelta:
    """Text that the caller is to hear next. Never empty."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolStarted:
    """The agent called one of its own tools. It runs here; an OpenAI caller never sees it."""

    call_id: str
    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ToolFinished:
    """What one of the agent's own tools returned, as the model reads it."""

    call_id: str
    name: str
    content: str
    ok: bool


@dataclass(frozen=True, slots=True)
class HandOff:
    """A tool call that the caller carries out: a transfer, a hang-up, one of its own tools. It ends the turn."""

    call_id: str
    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ReviewRequested:
    """A tool waits for a person's decision; `question` is what the reviewer is asked. It ends the turn."""

    interrupt_id: str
    question: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of the whole turn: the sum over the agent's model calls."""

    input_tokens: int = 0
    output_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        return self.input_tokens + self.output_tokens

    def __add__(self, other: Usage) -> Usage:
        return Usage(self.input_tokens + other.input_tokens, self.output_tokens + other.output_tokens)


@dataclass(frozen=True, slots=True)
class TurnFinished:
    """The turn ended well: "tool_calls" with hand-offs, "interrupted" when it waits for reviews."""

    reason: FinishReason


@dataclass(frozen=True, slots=True)
class TurnFailed:
    """The turn ended badly; `error` is made for callers and holds no provider's text."""

    error: SwitchboardError


Event = TextDelta | ToolStarted | ToolFinished | HandOff | ReviewRequested | Usage | TurnFinished | TurnFailed
