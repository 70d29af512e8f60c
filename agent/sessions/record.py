"""What is known of one session, apart from its messages: those are in its thread's checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

Status = Literal["idle", "running", "interrupted", "completed", "error"]
"""`idle`: no turn has run yet; `interrupted`: waits for a person's answer."""


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """A session of a user. `thread_id` is its own: one that was deleted and made again has another.

    `summary` stands for the beginning of a long conversation, see `agent.memory.summary`.
    `message` tells people about the status. `interrupts` are what it waits for when it is interrupted. `updated` is
    when a turn last began or ended, `expires_at` None means never; times are UTC and know it.
    """

    user_id: str
    session_id: str
    thread_id: str
    status: Status
    message: str
    last_query: str | None
    last_response: str | None
    model: str | None
    system_message: str | None
    interrupts: tuple[Mapping[str, Any], ...]
    summary: Mapping[str, Any] | None
    created: datetime
    updated: datetime
    expires_at: datetime | None
