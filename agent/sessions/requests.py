"""Requests to the session service."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from agent.tools.review import ReviewResponse

OnBusy = Literal["reject", "supersede", "enqueue"]
"""What to do while another turn runs: refuse with 409, end that turn, or wait for it."""
OnPending = Literal["refuse", "reject"]
"""What to do while a review is pending: refuse with 409, or reject the reviewed call and continue."""


@dataclass(frozen=True, slots=True)
class Invocation:
    """A user's message. `session_id` None means the user's latest session, or a new one.

    `system_message` replaces or extends the agent's system prompt, as a caller's system message does. With `sets_ttl`
    the session expires `ttl` seconds from now; None means never. `agent_id` is the persona of a new session.
    `caller` is the id of the caller's token. `filler` is the language of the fillers that the reader of the events
    speaks while a tool runs; None for silence. A message that `replaces` takes the place of the user's last one and of
    what answered it, unless a tool ran for that one: the user had not finished, and repeats the words.
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
    agent_id: str | None = None
    caller: str | None = None
    filler: str | None = None
    replaces: bool = False


@dataclass(frozen=True, slots=True)
class Resumption:
    """A reviewer's answers by interrupt id; the key None means the only pending one.

    A tuple answers all pending interrupts in their order. `caller` and `filler` are those of Invocation.
    """

    user_id: str
    session_id: str
    answers: Mapping[str | None, ReviewResponse] | tuple[ReviewResponse, ...]
    model: str | None = None
    caller: str | None = None
    filler: str | None = None
