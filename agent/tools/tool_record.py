"""A tool call of a turn, as its spans show it. Holds no arguments and no results."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ToolOutcome = Literal["ok", "error", "cancelled", "review", "reviewed"]
"""`review`: the call waits for a person; `reviewed`: a person declined it, or answered in the tool's place."""


@dataclass(slots=True)
class ToolRecord:
    """One call. It `began` at that time of the router's clock, and took so many `seconds`.

    `hands_off`: the caller carries it out. With the outcome "error", the model was told what went wrong.
    """

    name: str
    call_id: str
    began: float
    hands_off: bool = False
    outcome: ToolOutcome = "reviewed"
    seconds: float = 0.0

    @property
    def ran(self) -> bool:
        """Whether the tool began to run."""
        return self.outcome in ("ok", "error", "cancelled")
