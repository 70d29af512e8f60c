"""The circuit breaker of one deployment.

A breaker is **closed** (attempts pass), **open** (the deployment cools down after failures) or **half-open** (the
cooldown is over, and one attempt, the probe, tests the deployment). This module is pure: the time and the settings are
arguments of every call.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Literal

from config.errors import AttemptError, CredentialsRefused, RateLimited
from config.models.deployments import RouterSettings
from router.error_classes import allowed_fails_in_policy

State = Literal["closed", "open", "half-open"]

WINDOW = 60.0
"""Seconds within which failures add up."""

TICK = 1e-6
"""Seconds: the least time between two snapshots of one breaker."""


@dataclass(frozen=True, slots=True)
class BreakerSnapshot:
    """A breaker's state since the time `at`. Servers share snapshots; the newest one wins.

    `until` is the end of the cooldown, None when the breaker is closed. `opened` is the time at which the breaker
    opened. A snapshot with `at` later than `opened` marks a running probe, which blocks all other attempts until
    `until`. `error` is the code of the failure that opened the breaker.
    """

    at: float
    until: float | None = None
    opened: float | None = None
    error: str | None = None


INITIAL = BreakerSnapshot(at=0.0)


@dataclass(slots=True)
class Breaker:
    """`last_failure` and `last_attempt` are times; `last_attempt` counts this process only."""

    snapshot: BreakerSnapshot = INITIAL
    last_failure: float | None = None
    last_attempt: float | None = None
    _failures: deque[float] = field(default_factory=deque)

    def allows(self, now: float) -> bool:
        """Whether an attempt may begin: the breaker is closed, or half-open without a running probe."""
        return self.snapshot.until is None or self.snapshot.until <= now

    def state(self, now: float) -> State:
        if self.snapshot.until is None:
            return "closed"
        return "half-open" if self._is_probing() or self.snapshot.until <= now else "open"

    def begin_attempt(self, now: float, settings: RouterSettings) -> BreakerSnapshot | None:
        """Note a new attempt. In a half-open breaker it becomes the probe; returns the snapshot for `release_probe`."""
        self.last_attempt = now
        current = self.snapshot
        if current.until is None or current.until > now:
            return None
        # The reservation expires, so that a lost probe does not block the deployment for ever.
        reserved = max(settings.cooldown_time, settings.timeouts.first_token_timeout)
        return self._set(now, until=now + reserved, opened=current.opened, error=current.error)

    def release_probe(self, now: float, probe: BreakerSnapshot) -> None:
        """The probe was inconclusive; the next attempt becomes the probe."""
        if self.snapshot is probe:
            self._set(now, until=now, opened=probe.opened, error=probe.error)

    def record_success(self, now: float, opened: float | None) -> bool:
        """Close the breaker; returns whether it was open. `opened`: the snapshot's `opened` when the attempt began."""
        # The success of an attempt that began before the breaker opened does not mean that the provider works now.
        if self.snapshot.until is None or self.snapshot.opened != opened:
            return False
        self._set(now)
        return True

    def record_failure(self, error: AttemptError, now: float, opened: float | None, settings: RouterSettings) -> float:
        """Count a failure; returns the cooldown in seconds, 0 when it opens nothing. `opened`: as above."""
        self.last_failure = now
        until, is_current = self.snapshot.until, self.snapshot.opened == opened
        allowed = allowed_fails_in_policy(error, settings)
        cooldown = _immediate_cooldown(error, settings) if allowed is None else None
        limit = max(1, settings.allowed_fails) if allowed is None else allowed + 1
        if cooldown is None and (is_current if until is not None else self._reaches(limit, now)):
            cooldown = settings.cooldown_time
        if not cooldown:
            return 0.0
        # The failure of an attempt that began before the breaker opened may extend the cooldown, but not shorten it.
        end = now + cooldown if until is None or is_current else max(now + cooldown, until)
        self._failures.clear()
        self._set(now, until=end, error=error.code)
        return cooldown

    def adopt(self, snapshot: BreakerSnapshot) -> None:
        """Take over another server's snapshot if it is newer."""
        if snapshot.at <= self.snapshot.at:
            return
        self.snapshot = snapshot
        self._failures.clear()
        if snapshot.opened is not None:
            self.last_failure = max(self.last_failure or snapshot.opened, snapshot.opened)

    def _is_probing(self) -> bool:
        return self.snapshot.opened is not None and self.snapshot.at > self.snapshot.opened

    def _reaches(self, limit: int, now: float) -> bool:
        self._failures.append(now)
        while self._failures[0] <= now - WINDOW:
            self._failures.popleft()
        return len(self._failures) >= limit

    def _set(
        self, now: float, until: float | None = None, opened: float | None = None, error: str | None = None
    ) -> BreakerSnapshot:
        at = max(now, self.snapshot.at + TICK)
        self.snapshot = BreakerSnapshot(at, until, at if until is not None and opened is None else opened, error)
        return self.snapshot


def _immediate_cooldown(error: AttemptError, settings: RouterSettings) -> float | None:
    """Cooldown in seconds for an error that opens the breaker at once; None for one that is only counted."""
    match error:
        case RateLimited(retry_after=float(seconds)) if seconds > 0:
            return seconds
        case CredentialsRefused():
            return settings.cooldown_time
        case _:
            return None
