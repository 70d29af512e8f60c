"""Renews the leases of the turns that run in this process, and ends turns that were cancelled elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Final

from agent.sessions.store import SessionStore
from config.errors import LeaseLost, StorageUnavailable, SwitchboardError, TurnCancelled
from router.background_loop import background_loop

RENEW_INTERVAL: Final = 1.0
"""Seconds between two renewals. A cancellation by another server takes effect within this time."""

EndTurn = Callable[[SwitchboardError], None]


class Leases:
    """The leases of this process, by turn id."""

    def __init__(self, store: SessionStore, *, interval: float = RENEW_INTERVAL) -> None:
        self._store = store
        self._interval = interval
        self._held: dict[str, EndTurn] = {}

    @contextmanager
    def hold(self, turn_id: str, end: EndTurn) -> Iterator[None]:
        """Renew the turn's lease inside the block. `end` is called when the turn was cancelled or lost its lease."""
        self._held[turn_id] = end
        try:
            yield
        finally:
            del self._held[turn_id]

    def running(self) -> AbstractAsyncContextManager[None]:
        """Renew the leases in the background while this is entered."""
        return background_loop("session leases", self.renew, pause=lambda: self._interval)

    async def renew(self) -> None:
        """Renew every lease once."""
        if not self._held:
            return
        try:
            leases = await self._store.renew(list(self._held))
        except StorageUnavailable:
            return  # already logged; a lease outlives a short outage
        for turn_id, state in leases.items():
            end = self._held.get(turn_id)
            if end is None or state == "held":
                continue
            end(TurnCancelled("The turn was cancelled.") if state == "stop" else LeaseLost())
