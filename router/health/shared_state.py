"""What servers tell each other: which deployments rest, and what of their rate limits is spent.

Each process holds its own copy and decides by that alone; a background task compares it with the shared store a few
times a second. What is exchanged is state, not events: whoever finds something newer here than there puts it there, so
a newcomer, a server that was cut off and a store that lost everything all catch up in the same way.

Shared are deployment ids, error codes, counts and times: never content, never keys.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol, Self
from uuid import uuid4

import structlog

from router.health.breaker import Verdict
from router.health.breakers import Breakers
from router.health.rate_limits import RateLimits, Spending
from router.health.shared_clock import SharedClock

log = structlog.get_logger(__name__)

INTERVAL = 0.2
LONGEST_PAUSE = 2.0
"""Seconds between exchanges: while all is well, and at most while the store is away."""

STALE = 3600.0
"""Seconds after which a verdict that has run out is dropped from the store."""

CLOCK_JUMP = 1.0
"""Seconds: if the store's clock is further away than this from the one gone by so far, old verdicts mean nothing."""


class StoreAway(Exception):
    """The shared store cannot be reached or refuses; the message says why."""


@dataclass(frozen=True, slots=True)
class StateUpdate:
    """What the store does not have yet. `spent` is all of what `server` itself spent, not what it added."""

    server: str
    verdicts: Mapping[str, Verdict]
    stale: tuple[str, ...]
    spent: Spending


@dataclass(frozen=True, slots=True)
class SharedSnapshot:
    """What the store has: its clock's `now`, verdicts by deployment id, and what each server spent."""

    now: float
    verdicts: Mapping[str, Verdict] = field(default_factory=dict)
    spent: Mapping[str, Spending] = field(default_factory=dict)


class SharedStore(Protocol):
    """Where servers leave what they know; `router.health.redis_store.RedisStore` is the real one."""

    async def exchange(self, news: StateUpdate, minutes: tuple[int, ...]) -> SharedSnapshot:
        """Put `news` there, then read everything, of spending only these minutes. Raises StoreAway."""

    async def aclose(self) -> None: ...


class SharedState:
    """Keeps `breakers` and `rate_limits` in step with other servers while it is entered.

    All three go by the same `clock`. A store that is away costs one warning; each server then goes by what it learns
    itself, until the store is back. Leaving closes the store.
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
        self._seen: Mapping[str, Verdict] = {}
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name="shared state")
        self._task.add_done_callback(_report_crash)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._task is not None:
                self._task.cancel()
                await asyncio.wait([self._task])
        finally:
            await self._store.aclose()

    async def exchange(self) -> None:
        """Tell the store what is newer here, and take over what is newer there. Raises StoreAway."""
        now = self._clock()
        minute = int(now // 60)
        known = await self._store.exchange(self._news(now), (minute, minute - 1))
        if abs(self._clock.agree(known.now, asked=now)) > CLOCK_JUMP:
            self._breakers.forget()
        # A verdict from the future comes from before the store's clock was set back, and would hold for ever.
        self._seen = {each: told for each, told in known.verdicts.items() if told.at <= known.now + CLOCK_JUMP}
        for deployment_id, verdict in self._seen.items():
            self._breakers.adopt(deployment_id, verdict)
        self._rate_limits.adopt(spending for server, spending in known.spent.items() if server != self._server)

    def _news(self, now: float) -> StateUpdate:
        newer = {
            each: verdict
            for each, verdict in self._breakers.verdicts().items()
            if not _is_stale(verdict, now) and (each not in self._seen or verdict.at > self._seen[each].at)
        }
        stale = tuple(each for each, verdict in self._seen.items() if _is_stale(verdict, now) and each not in newer)
        return StateUpdate(self._server, newer, stale, self._rate_limits.own())

    async def _run(self) -> None:
        away, pause = False, self._interval
        while True:
            try:
                await self.exchange()
            except StoreAway as exc:
                if not away:
                    log.warning(
                        "shared_state_away", reason=str(exc), effect="each server goes by what it learns itself"
                    )
                away, pause = True, min(LONGEST_PAUSE, pause * 2)
            else:
                if away:
                    log.info("shared_state_back")
                away, pause = False, self._interval
            if (task := asyncio.current_task()) is not None and task.cancelling():
                # wait_for, which redis-py uses, can lose a cancellation: https://github.com/python/cpython/issues/86296
                raise asyncio.CancelledError
            await asyncio.sleep(pause)


def _is_stale(verdict: Verdict, now: float) -> bool:
    return max(verdict.at, verdict.until or 0.0) + STALE < now


def _report_crash(task: asyncio.Task[None]) -> None:
    with suppress(asyncio.CancelledError):
        if (error := task.exception()) is not None:
            log.error("shared_state_stopped", exc_info=error)
