"""How a turn on a session ended, gathered while it runs, and what is stored of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from agent.events import Event, ReviewRequested, TextDelta, TurnFailed, TurnFinished, Usage
from agent.sessions.record import Status
from config.errors import TurnCancelled, TurnSuperseded


@dataclass(slots=True)
class TurnEnd:
    """Fed with the turn's events. A turn that brings no last event was hung up on."""

    usage: Usage = field(default_factory=Usage)
    interrupts: list[Mapping[str, Any]] = field(default_factory=list)
    _text: list[str] = field(default_factory=list)
    _last: TurnFinished | TurnFailed | None = None

    def take(self, event: Event) -> None:
        match event:
            case TextDelta(text):
                self._text.append(text)
            case ReviewRequested(interrupt_id, question):
                self.interrupts.append({"interrupt_id": interrupt_id, **question})
            case Usage():
                self.usage = event
            case TurnFinished() | TurnFailed():
                self._last = event

    @property
    def broke_off(self) -> bool:
        """The thread is left in the middle of a step."""
        return not isinstance(self._last, TurnFinished)

    @property
    def text(self) -> str:
        """All that was said."""
        return "".join(self._text)

    @property
    def status(self) -> Status:
        match self._last:
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
        """The status in words."""
        match self._last:
            case TurnFinished("interrupted"):
                actions = ", ".join(each["action_request"]["action"] for each in self.interrupts)
                return f"Waiting for a person's decision about {actions}."
            case TurnFinished():
                return ""
            case TurnFailed(error):
                return str(error)
            case _:
                return "The caller hung up during the turn."
