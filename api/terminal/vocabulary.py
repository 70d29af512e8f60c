"""What the user can name: models, and the sessions, memories, tasks and personas that were listed last."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from api.terminal.input_line import COMMANDS, MODES

WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    "mode": MODES,
    "ttl": ("never", "30m", "12h", "7d"),
    "memory": ("add", "find", "forget"),
    "task": ("run", "show", "cancel"),
}


def whole_number(text: str) -> int | None:
    """The number that a user types; None if it is none, or has more than nine digits."""
    return int(text) if text.isdecimal() and len(text) < 10 else None


@dataclass
class Vocabulary:
    """`listed` has the rows of each list by the command that shows it; the user counts them from 1."""

    models: list[str] = field(default_factory=list)
    listed: dict[str, list[Any]] = field(default_factory=dict)

    def pick(self, command: str, number: str) -> Any:
        """The row with that number in the last list of `command`; None if there is none."""
        rows = self.listed.get(command, [])
        at = whole_number(number)
        return rows[at - 1] if at is not None and 1 <= at <= len(rows) else None

    def completions(self, typed: str) -> Iterable[str]:
        """The words that may stand at the end of a line that begins like a command."""
        first, space, _ = typed.partition(" ")
        if not space:
            yield from (f"/{name}" if typed.startswith("/") else name for name in COMMANDS)
        elif typed.count(" ") == 1:
            name = first.removeprefix("/")
            yield from ("default", *self.models) if name == "model" else WORDS.get(name, ())
