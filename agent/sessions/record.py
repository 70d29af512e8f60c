"""A session's record: everything but its messages, which are in the checkpoints of its thread."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from agent.sessions.turn_response import TurnResponse

Status = Literal["idle", "running", "interrupted", "completed", "error"]
"""`idle`: no turn has run yet, or the last one was cancelled; `interrupted`: a review is pending."""


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """A user's session. A session that is deleted and created again gets a new `thread_id`.

    `message` says why the last turn did not finish. `query_id` is the id of the message `last_query`. `last_response`
    is that of the last turn that has ended. `interrupts` are the pending reviews. `summary` replaces the beginning of a
    long conversation, see `agent.memory.summary`. `updated` is when a turn last began or ended; `expires_at` None means
    never. Times are timezone-aware, in UTC. `claims` counts the claims so far, see `agent.storage.fence`.
    `agent_id` is the persona that the session is with.
    `turn_id` is the turn that runs, or that ran until its server died.
    """

    user_id: str
    session_id: str
    thread_id: str
    status: Status
    message: str
    last_query: str | None
    last_response: TurnResponse | None
    model: str | None
    system_message: str | None
    interrupts: tuple[Mapping[str, Any], ...]
    summary: Mapping[str, Any] | None
    created: datetime
    updated: datetime
    expires_at: datetime | None
    claims: int = 0
    agent_id: str | None = None
    turn_id: str | None = None
    query_id: str | None = None
