"""Keeps the leases of this process's turns while they run, and ends those that somebody else wants ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Final

import structlog

from agent.sessions.store import SessionStore
from config.errors import StorageUnavailable, SwitchboardError, TurnCancelled

log = structlog.get_logger(__name__)

INTERVAL: Final = 1.0
"""Seconds between two looks: so soon a turn ends that another server was asked to cancel."""

End = Callable[[SwitchboardError], None]


class Leases:
    """The turns that run here, by their ids."""

    def __init__(
        self,
        store: SessionStore,
        *,
        interval: float = INTERVAL,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._store = store
        self._interval = interval
        self._sleep = sleep
        self._held: dict[str, End] = {}

    @contextmanager
    def held(self, turn_id: str, end: End) -> Iterator[None]:
        """Renew the lease of the turn inside; `end` is called when it is to end."""
        self._held[turn_id] = end
        try:
            yield
        finally:
            del self._held[turn_id]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Renew in the background while this is entered."""
        renewing = asyncio.create_task(self._renew_for_ever(), name="session leases")
        try:
            yield
        finally:
            renewing.cancel()
            with suppress(asyncio.CancelledError):
                await renewing

    async def look(self) -> None:
        """Renew every lease once."""
        if not self._held:
            return
        try:
            leases = await self._store.renew_all(list(self._held))
        except StorageUnavailable:
            return  # logged where it was noticed; a lease outlives a short outage
        for turn_id, lease in leases.items():
            end = self._held.get(turn_id)
            if end is None or lease == "held":
                continue
            stopped = "The turn was cancelled."
            end(TurnCancelled(stopped if lease == "stop" else "The session was deleted or has expired."))

    async def _renew_for_ever(self) -> None:
        while True:
            await self._sleep(self._interval)
            try:
                await self.look()
            except Exception:
                # A bug must not end the renewing of all other turns.
                log.exception("lease_renewal_crashed")
