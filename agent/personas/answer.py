"""What one turn of a persona says, and what of it is passed on at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from agent.events import Event, HandOff, TextDelta, TurnFailed, TurnFinished, Usage
from agent.personas.shape import Shape


@dataclass(slots=True)
class Answer:
    """Pass every event of the turn to `add`. `usage` and `final`, the turn's end, are kept back.

    With `holds_text` the text is held back too, until `release`: it may have to be asked for again.
    """

    holds_text: bool
    usage: Usage = field(default_factory=Usage)
    final: TurnFinished | TurnFailed | None = None
    hands_off: bool = False
    _text: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(self._text)

    @property
    def is_complete(self) -> bool:
        return isinstance(self.final, TurnFinished)

    def add(self, event: Event) -> Iterator[Event]:
        """The events to pass on now."""
        match event:
            case TextDelta(text):
                self._text.append(text)
                if not self.holds_text:
                    yield event
            case Usage():
                self.usage = event
            case TurnFinished() | TurnFailed():
                self.final = event
            case HandOff():
                self.hands_off = True
                yield from self.release()
                yield event
            case _:
                yield event

    def release(self) -> Iterator[TextDelta]:
        """The text that was held back. No more is held back afterwards."""
        if self.holds_text and self._text:
            yield TextDelta(self.text)
        self.holds_text = False

    def problem(self, shape: Shape) -> str | None:
        """Why a complete answer does not fit; None if it fits. What is said before a hand-off is not checked."""
        return shape.problem(self.text) if self.is_complete and not self.hands_off else None
