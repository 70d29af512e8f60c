"""What log lines and spans say of a turn, so that its traces are found."""

from __future__ import annotations

from dataclasses import dataclass

from structlog.contextvars import bind_contextvars


@dataclass(frozen=True, slots=True)
class TurnIds:
    """`session_id` is the caller's name of the conversation, if it has one. `agent` is the name of who answers."""

    turn_id: str
    session_id: str | None = None
    agent: str | None = None

    def bind_to_log(self) -> None:
        """Give the ids to each further log line of the running task, and of those that it starts."""
        bind_contextvars(turn_id=self.turn_id)
        if self.session_id is not None:
            bind_contextvars(session_id=self.session_id)
