"""The outcome of a turn on a session, collected from its events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from agent.events import Event, ReviewRequested, TextDelta, TurnFailed, TurnFinished, Usage
from agent.sessions.record import Status
from config.errors import TurnCancelled, TurnSuperseded


@dataclass(slots=True)
class TurnOutcome:
    """What is stored of a turn. Pass every event to `add`; a turn without a final event was abandoned by its caller."""

    usage: Usage = field(default_factory=Usage)
    interrupts: list[Mapping[str, Any]] = field(default_factory=list)
    _text: list[str] = field(default_factory=list)
    _final: TurnFinished | TurnFailed | None = None

    def add(self, event: Event) -> None:
        match event:
            case TextDelta(text):
                self._text.append(text)
            case ReviewRequested(interrupt_id, question):
                self.interrupts.append({"interrupt_id": interrupt_id, **question})
            case Usage():
                self.usage = event
            case TurnFinished() | TurnFailed():
                self._final = event

    @property
    def is_incomplete(self) -> bool:
        """Whether the turn stopped in the middle of a step."""
        return not isinstance(self._final, TurnFinished)

    @property
    def text(self) -> str:
        """The text of all TextDelta events."""
        return "".join(self._text)

    @property
    def status(self) -> Status:
        match self._final:
            case TurnFinished("interrupted"):
                return "interrupted"
            case TurnFinished():
                return "completed"
            case TurnFailed(TurnCancelled() | TurnSuperseded()) | None:
                return "idle"
            case _:
                return "error"

    @property
    def message(self) -> str:
        """Explains the status to people."""
        match self._final:
            case TurnFinished("interrupted"):
                actions = ", ".join(each["action_request"]["action"] for each in self.interrupts)
                return f"Waiting for a person's decision about {actions}."
            case TurnFinished():
                return ""
            case TurnFailed(error):
                return str(error)
            case _:
                return "The caller hung up during the turn."
