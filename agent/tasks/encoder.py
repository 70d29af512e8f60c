"""How a task's events and its answer are written. The API has the formats; tasks store what it makes of them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import Any, Protocol

from agent.sessions.events import SessionEnded, SessionEvent
from config.errors import SwitchboardError


class TaskEncoder(Protocol):
    """The formats of the API that reads the tasks."""

    def lines(self, events: AsyncGenerator[SessionEvent, None], session_id: str) -> AsyncGenerator[str, None]:
        """The events as text. Raises as `events` does."""

    def answer(self, ended: SessionEnded) -> Mapping[str, Any]:
        """The outcome of a turn as a JSON value with its `status`."""

    def failure(self, error: SwitchboardError, session_id: str) -> Mapping[str, Any]:
        """The outcome of a task whose turn did not begin."""

    def error_line(self, error: SwitchboardError, session_id: str) -> str:
        """The last event of a task that failed."""

    def restarted_line(self, session_id: str) -> str:
        """The event between what a worker that stopped has sent, and what the next one sends."""
