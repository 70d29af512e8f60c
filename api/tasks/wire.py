"""The request bodies of background tasks: those of `/agent/invoke` and `/agent/resume`."""

from __future__ import annotations

from typing import Any, Final

from pydantic import Field

from agent.sessions.requests import OnBusy
from api.http.errors import InvalidBody
from api.sessions.wire import InvokeBody


class InvokeTaskBody(InvokeBody):
    on_busy: OnBusy = Field(
        "enqueue",
        description="If a turn or a task runs on the session, or waits there: wait for it, 409, or cancel it.",
    )


EVENT_ID_SCHEMA: Final[dict[str, Any]] = {"anyOf": [{"type": "string", "pattern": "^[0-9]{0,9}$"}]}
"""What OpenAPI says of `Last-Event-ID`."""


def last_event_id(header: str | None) -> int:
    """The number after which the events continue. Raises InvalidBody."""
    if not header:
        return 0
    if not (header.isascii() and header.isdigit() and len(header) < 10):
        raise InvalidBody("Last-Event-ID: must be the id of an event of this task.", param="Last-Event-ID")
    return int(header)
