"""Shares circuit breakers and rate-limit usage between servers.

Each process keeps its own copy and decides by that copy alone; a background task synchronizes it with a shared store a
few times a second. Servers exchange state, not events: each one writes what is newer than the store and adopts what is
newer in the store. A new server, one that was disconnected and a store that lost its data all catch up in this way.

Only deployment ids, error codes, counts and times are shared: no content, no keys.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol
from uuid import uuid4

import structlog

from router.background_loop import background_loop
from router.health.breaker import BreakerSnapshot
from router.health.breakers import Breakers
from router.health.rate_limits import MINUTE, RateLimits, UsageByMinute
from router.health.shared_clock import SharedClock

log = structlog.get_logger(__name__)

INTERVAL = 0.2
"""Seconds between two synchronizations."""

MAX_RETRY_INTERVAL = 2.0
"""Seconds: the longest interval while the store is unavailable. It doubles with every failure until then."""

STALE = 3600.0
"""Seconds after the end of a cooldown when its snapshot is deleted from the store."""

CLOCK_JUMP = 1.0
"""Seconds: when the store's clock differs by more than this, the times in our breakers are meaningless."""


class StoreUnavailable(Exception):
    """The shared store cannot be reached or refuses; the message says why."""


@dataclass(frozen=True, slots=True)
class StateUpdate:
    """What one server writes to the store.

    `breakers` are the snapshots that are newer than the store's, `stale` the deployment ids to delete. `usage` is all
    of `server`'s usage, not an increment.
    """

    server: str
    breakers: Mapping[str, BreakerSnapshot]
    stale: tuple[str, ...]
    usage: UsageByMinute


@dataclass(frozen=True, slots=True)
class SharedSnapshot:
    """The store's content: the time on its clock, breakers by deployment id and usage by server."""

    now: float
    breakers: Mapping[str, BreakerSnapshot] = field(default_factory=dict)
    usage: Mapping[str, UsageByMinute] = field(default_factory=dict)


class SharedStore(Protocol):
    """Where servers share their state; `router.health.redis_store.RedisStore` is the real one."""

    async def sync(self, update: StateUpdate, minutes: tuple[int, ...]) -> SharedSnapshot:
        """Write `update`, then read everything, with the usage of these minutes. Raises StoreUnavailable."""

    async def aclose(self) -> None: ...


class SharedState:
    """Keeps `breakers` and `rate_limits` in sync with other servers inside `running()`.

    `breakers`, `rate_limits` and this class use the same `clock`. While the store is unavailable, each server decides
    by its own observations; the outage is logged once. Leaving the context closes the store.
    """

    def __init__(
        self,
        store: SharedStore,
        breakers: Breakers,
        rate_limits: RateLimits,
        clock: SharedClock,
        *,
        interval: float = INTERVAL,
    ) -> None:
        self._store, self._breakers, self._rate_limits, self._clock = store, breakers, rate_limits, clock
        self._interval = interval
        self._server = uuid4().hex
        self._stored: Mapping[str, BreakerSnapshot] = {}
        self._available = True
        self._pause = 0.0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Sync in the background inside this context; the first sync starts at once."""
        try:
            async with background_loop("shared state", self._sync_or_back_off, pause=lambda: self._pause):
                yield
        finally:
            await self._store.aclose()

    async def sync(self) -> None:
        """Write what is newer here, adopt what is newer in the store. Raises StoreUnavailable."""
        now = self._clock()
        minute = int(now // MINUTE)
        snapshot = await self._store.sync(self._update(now), (minute, minute - 1))
        if abs(self._clock.synchronize(snapshot.now, requested=now)) > CLOCK_JUMP:
            self._breakers.reset()
        # Times in the future date from before the store's clock was set back; adopted, they would win for ever.
        latest = snapshot.now + CLOCK_JUMP
        self._stored = {each: breaker for each, breaker in snapshot.breakers.items() if breaker.at <= latest}
        for deployment_id, breaker in self._stored.items():
            self._breakers.adopt(deployment_id, breaker)
        self._rate_limits.adopt(usage for server, usage in snapshot.usage.items() if server != self._server)

    def _update(self, now: float) -> StateUpdate:
        newer = {
            each: breaker
            for each, breaker in self._breakers.snapshots().items()
            if not _is_stale(breaker, now) and (each not in self._stored or breaker.at > self._stored[each].at)
        }
        stale = tuple(each for each, breaker in self._stored.items() if _is_stale(breaker, now) and each not in newer)
        return StateUpdate(self._server, newer, stale, self._rate_limits.own_usage())

    async def _sync_or_back_off(self) -> None:
        try:
            await self.sync()
        except StoreUnavailable as exc:
            if self._available:
                log.warning(
                    "shared_state_unavailable", reason=str(exc), effect="each server decides by its own observations"
                )
            self._available = False
            self._pause = min(MAX_RETRY_INTERVAL, max(self._interval, self._pause) * 2)
        else:
            if not self._available:
                log.info("shared_state_recovered")
            self._available, self._pause = True, self._interval


def _is_stale(breaker: BreakerSnapshot, now: float) -> bool:
    return max(breaker.at, breaker.until or 0.0) + STALE < now
