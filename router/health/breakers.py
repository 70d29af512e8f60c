"""The circuit breakers of all deployments. Nothing here waits or reaches the network: `SharedState` carries verdicts
between servers in the background.

    trial = breakers.begin(deployment.id)
    try:
        ...                         # the exchange with the provider
        trial.succeeded()
    except AttemptError as error:
        trial.failed(error)
        raise
    finally:
        trial.cancelled()           # a hang-up, or a request that is wrong everywhere; else it changes nothing
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

import structlog

from config.errors import AttemptError
from config.models.deployments import RouterSettings
from router.health.breaker import UNKNOWN, Breaker, State, Verdict
from router.health.shared_clock import SharedClock

log = structlog.get_logger(__name__)


class Trial:
    """One attempt at one deployment. The first of its three ends counts; later ones change nothing."""

    __slots__ = ("_breaker", "_breakers", "_claim", "_ended", "_opened", "deployment_id")

    def __init__(self, deployment_id: str, breaker: Breaker, breakers: Breakers) -> None:
        self.deployment_id = deployment_id
        self._breaker, self._breakers = breaker, breakers
        self._opened = breaker.verdict.opened
        self._claim = breaker.claim(breakers.clock(), breakers.settings())
        self._ended = False

    @property
    def is_probe(self) -> bool:
        """Whether this attempt finds out if the deployment is back."""
        return self._claim is not None

    def succeeded(self) -> None:
        """The answer came whole. Closes the breaker, unless it opened after this attempt began."""
        if self._end() and self._breaker.succeeded(self._breakers.clock(), self._opened):
            log.info("breaker_closed", deployment=self.deployment_id)

    def failed(self, error: AttemptError) -> None:
        """The provider failed: counts, and opens the breaker when it is time."""
        if not self._end():
            return
        now, settings = self._breakers.clock(), self._breakers.settings()
        if rest := self._breaker.failed_with(error, now, self._opened, settings):
            log.warning("breaker_opened", deployment=self.deployment_id, error=error.code, seconds=round(rest, 3))

    def cancelled(self) -> None:
        """The attempt ended without a word about the provider: counts nothing, and frees the probe if this was it."""
        if self._end() and self._claim is not None:
            self._breaker.release(self._breakers.clock(), self._claim)

    def _end(self) -> bool:
        was_running, self._ended = not self._ended, True
        return was_running


class Breakers:
    """One breaker for each deployment id, closed until something fails.

    A breaker opens for `cooldown_time` at the `allowed_fails`-th failure within a minute (at the first when that is 0);
    a refused key opens it at once, and a 429 with Retry-After for just that time. A `cooldown_time` of 0 means that
    only Retry-After does. `settings` is asked every time, so that a reload counts; `clock` counts seconds.
    """

    def __init__(self, settings: Callable[[], RouterSettings], clock: Callable[[], float] | None = None) -> None:
        self.settings = settings
        self.clock = clock or SharedClock()
        self._by_id: dict[str, Breaker] = {}

    def allows(self, deployment_id: str) -> bool:
        """Whether an attempt may begin now. Look right before `begin`, with no await between the two."""
        breaker = self._by_id.get(deployment_id)
        return breaker is None or breaker.allows(self.clock())

    def begin(self, deployment_id: str) -> Trial:
        """Begin an attempt; in a half-open breaker it becomes the probe, and `allows` is false for all others.

        It never refuses: when every deployment rests, one is tried all the same, and its success closes the breaker.
        A probe that never ends holds its place for `cooldown_time` or `first_token_timeout`, whichever is longer.
        """
        return Trial(deployment_id, self._of(deployment_id), self)

    def state(self, deployment_id: str) -> State:
        """For people; `allows` is what decides."""
        breaker = self._by_id.get(deployment_id)
        return breaker.state(self.clock()) if breaker else "closed"

    def reason(self, deployment_id: str) -> str | None:
        """The code of the error that opened the breaker; None when it is closed."""
        return self._verdict(deployment_id).error

    def last_attempt(self, deployment_id: str) -> float | None:
        """When this process last began an attempt, on `clock`; None when it never did."""
        breaker = self._by_id.get(deployment_id)
        return breaker.tried if breaker else None

    def retry_after(self, deployment_ids: Iterable[str]) -> float | None:
        """Seconds until the first of these may be tried again; None when none of them rests."""
        now = self.clock()
        ends = [self._verdict(each).until for each in deployment_ids]
        return min((end - now for end in ends if end is not None and end > now), default=None)

    def least_recently_failed(self, deployment_ids: Iterable[str]) -> str:
        """The id to try when all of these rest; the first of equals. Raises ValueError when there are none."""
        return min(deployment_ids, key=self._last_failure)

    def keep_only(self, deployment_ids: Collection[str]) -> None:
        """Forget all others: a reload of models.yaml may have removed them."""
        self._by_id = {each: breaker for each, breaker in self._by_id.items() if each in deployment_ids}

    def forget(self) -> None:
        """Close everything, as at the start."""
        self._by_id = {}

    def verdicts(self) -> Mapping[str, Verdict]:
        """What this process holds true, for others to adopt."""
        return {each: breaker.verdict for each, breaker in self._by_id.items() if breaker.verdict is not UNKNOWN}

    def adopt(self, deployment_id: str, verdict: Verdict) -> None:
        """Take over what another process found out, unless what is known here is newer."""
        self._of(deployment_id).adopt(verdict)

    def _of(self, deployment_id: str) -> Breaker:
        return self._by_id.setdefault(deployment_id, Breaker())

    def _verdict(self, deployment_id: str) -> Verdict:
        breaker = self._by_id.get(deployment_id)
        return breaker.verdict if breaker else UNKNOWN

    def _last_failure(self, deployment_id: str) -> float:
        breaker = self._by_id.get(deployment_id)
        return breaker.failed if breaker and breaker.failed is not None else float("-inf")
