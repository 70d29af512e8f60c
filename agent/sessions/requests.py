"""What a caller may ask of a session."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from agent.tools.review import ReviewResponse

OnBusy = Literal["reject", "supersede", "enqueue"]
"""What to do while another turn runs: refuse (409), end that one, or wait for it."""
OnPending = Literal["refuse", "reject"]
"""What to do while a review waits: refuse (409), or decline what waits and go on."""


@dataclass(frozen=True, slots=True)
class Invocation:
    """A user's message. `session_id` None: the user's latest live session, else a new one.

    `system_message` stands where a system message of the caller would. `ttl` (seconds) sets the session's expiry anew
    when `sets_ttl`; None is never.
    """

    user_id: str
    query: str
    session_id: str | None = None
    system_message: str | None = None
    model: str | None = None
    ttl: float | None = None
    sets_ttl: bool = False
    on_busy: OnBusy = "reject"
    on_pending: OnPending = "refuse"


@dataclass(frozen=True, slots=True)
class Resumption:
    """A reviewer's answers, by the id of what they answer. A list answers all that waits, in its order."""

    user_id: str
    session_id: str
    answers: Mapping[str | None, ReviewResponse] | tuple[ReviewResponse, ...]
    """Under None stands the answer to the only thing that waits."""
    model: str | None = None
