"""The live states of sessions: what clients poll. Without Redis, the database has them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from agent.sessions.record import SessionRecord

SessionKey = tuple[str, str]
"""The ids of the user and the session."""


@dataclass(frozen=True, slots=True)
class LiveState:
    """A session as the database has it.

    `turn_id` is the turn that has claimed it. `lease_left` is the rest of its lease in seconds; 0 means that the turn
    has crashed.
    """

    record: SessionRecord
    turn_id: str | None = None
    lease_left: float = 0.0

    @property
    def has_crashed(self) -> bool:
        return self.turn_id is not None and self.lease_left <= 0


LoadState = Callable[[], Awaitable[LiveState | None]]


class SessionStates:
    """States that are in the database only.

    A writer calls `mark` before it commits and `put` afterwards, except for the end of a turn, which only needs `put`.
    """

    kept: ClassVar[bool] = False
    """Whether `put` keeps the state that it is given."""

    async def find(self, key: SessionKey, load: LoadState) -> SessionRecord | None:
        """The session. `load` reads it from the database."""
        state = await load()
        return None if state is None else state.record

    async def mark(self, key: SessionKey) -> str:
        """Announce a change; returns the owner to pass to `put`. Until then, `find` reads from the database."""
        return ""

    async def put(self, key: SessionKey, owner: str, state: LiveState | None) -> None:
        """Publish the state after a change by `owner`: a mark, or the turn that has ended.

        None removes it: the session is gone, or only the database can tell.
        """

    async def renew(self, turns: Mapping[str, SessionKey]) -> None:
        """The leases of these turns, by turn id, were renewed."""
