"""The events of a turn on a session: SessionOpened, then the turn's own events, then SessionEnded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from langchain_core.messages import AnyMessage

from agent.events import Event, Usage
from agent.sessions.record import SessionRecord


@dataclass(frozen=True, slots=True)
class SessionOpened:
    """The turn begins on this session."""

    session_id: str


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """The turn has ended and is stored. `record` is the session after it, `messages` are those that it added."""

    record: SessionRecord
    messages: Sequence[AnyMessage]
    usage: Usage


SessionEvent = SessionOpened | Event | SessionEnded
