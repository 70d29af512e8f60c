"""What happens in a turn on a session: SessionOpened, then the turn's own events, then SessionEnded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from langchain_core.messages import AnyMessage

from agent.events import Event, Usage
from agent.sessions.record import SessionRecord


@dataclass(frozen=True, slots=True)
class SessionOpened:
    """The turn is about to begin on this session."""

    session_id: str


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """The turn is over and stored. `messages` are those that it added to the thread; `record` is as it left it."""

    record: SessionRecord
    messages: Sequence[AnyMessage]
    usage: Usage


SessionEvent = SessionOpened | Event | SessionEnded
