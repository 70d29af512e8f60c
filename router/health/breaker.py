"""One circuit breaker: whether a deployment rests after failures, and who tries it first when the rest is over.

A breaker is **closed** (all may try), **open** (the deployment rests) or **half-open** (the rest is over, and one
attempt, the probe, finds out whether it helped). Pure: the time and the settings come in with every call.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Literal

from config.errors import AttemptError, CredentialsRefused, RateLimited
from config.models.deployments import RouterSettings

State = Literal["closed", "open", "half-open"]

WINDOW = 60.0
"""Seconds within which failures add up."""

TICK = 1e-6
"""Seconds by which a verdict is at least newer than the one before it."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What holds for a deployment since the time `at`; the newer verdict wins, wherever it came from.

    `until` ends the rest; None means closed. `opened` is when the rest began: a verdict that is newer than its opening
    is a probe's claim, which makes everyone else rest a little longer. `error` is the code of the failure.
    """

    at: float
    until: float | None = None
    opened: float | None = None
    error: str | None = None


UNKNOWN = Verdict(at=0.0)


@dataclass(slots=True)
class Breaker:
    """`failed` and `tried` are the times of the last failure and of the last attempt that began here."""

    verdict: Verdict = UNKNOWN
    failed: float | None = None
    tried: float | None = None
    _failures: deque[float] = field(default_factory=deque)

    def allows(self, now: float) -> bool:
        """Whether an attempt may begin: the breaker is closed, or half-open without a probe under way."""
        return self.verdict.until is None or self.verdict.until <= now

    def state(self, now: float) -> State:
        if self.verdict.until is None:
            return "closed"
        return "half-open" if self._is_claimed() or self.verdict.until <= now else "open"

    def claim(self, now: float, settings: RouterSettings) -> Verdict | None:
        """Make the attempt that begins the probe, if there is one to make; returns what `release` asks for."""
        self.tried = now
        known = self.verdict
        if known.until is None or known.until > now:
            return None
        # A probe that is never heard of again must not hold its place for ever.
        patience = max(settings.cooldown_time, settings.limits.first_token_timeout)
        return self._set(now, until=now + patience, opened=known.opened, error=known.error)

    def release(self, now: float, claim: Verdict) -> None:
        """The probe ended and told nothing: the next attempt may be it."""
        if self.verdict is claim:
            self._set(now, until=now, opened=claim.opened, error=claim.error)

    def succeeded(self, now: float, opened: float | None) -> bool:
        """Close after a success; returns whether that changed anything. `opened` is what held as the attempt began."""
        # An attempt from before the opening may still end well; that says nothing about the provider now.
        if self.verdict.until is None or self.verdict.opened != opened:
            return False
        self._set(now)
        return True

    def failed_with(self, error: AttemptError, now: float, opened: float | None, settings: RouterSettings) -> float:
        """Count the failure; returns the seconds of the rest that it leads to, 0 for none. `opened` as above."""
        self.failed = now
        until, tested = self.verdict.until, self.verdict.opened == opened
        rest = _rest_at_once(error, settings)
        if rest is None and (tested if until is not None else self._used_up(now, settings)):
            rest = settings.cooldown_time
        if not rest:
            return 0.0
        # The last attempts from before the opening may lengthen the rest, but not shorten it.
        end = now + rest if until is None or tested else max(now + rest, until)
        self._failures.clear()
        self._set(now, until=end, error=error.code)
        return rest

    def adopt(self, verdict: Verdict) -> None:
        """Take over what another process found out, unless what is known here is newer."""
        if verdict.at <= self.verdict.at:
            return
        self.verdict = verdict
        self._failures.clear()
        if verdict.opened is not None:
            self.failed = max(self.failed or verdict.opened, verdict.opened)

    def _is_claimed(self) -> bool:
        return self.verdict.opened is not None and self.verdict.at > self.verdict.opened

    def _used_up(self, now: float, settings: RouterSettings) -> bool:
        self._failures.append(now)
        while self._failures[0] <= now - WINDOW:
            self._failures.popleft()
        return len(self._failures) >= max(1, settings.allowed_fails)

    def _set(
        self, now: float, until: float | None = None, opened: float | None = None, error: str | None = None
    ) -> Verdict:
        at = max(now, self.verdict.at + TICK)
        self.verdict = Verdict(at, until, at if until is not None and opened is None else opened, error)
        return self.verdict


def _rest_at_once(error: AttemptError, settings: RouterSettings) -> float | None:
    """Seconds to rest whatever has been counted; None when the failure only counts."""
    match error:
        case RateLimited(retry_after=float(seconds)) if seconds > 0:
            return seconds
        case CredentialsRefused():
            return settings.cooldown_time
        case _:
            return None
