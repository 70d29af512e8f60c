"""The events of a turn on a session: SessionOpened, then the turn's own events, then SessionEnded."""

from __future__ import annotations

from dataclasses import dataclass

from agent.events import Event
from agent.sessions.record import SessionRecord


@dataclass(frozen=True, slots=True)
class SessionOpened:
    """The turn begins on this session."""

    session_id: str


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """The turn has ended and is stored. `record` is the session after it, with the turn's response."""

    record: SessionRecord


SessionEvent = SessionOpened | Event | SessionEnded
