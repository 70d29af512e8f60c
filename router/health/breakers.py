"""The circuit breakers of all deployments.

    trial = breakers.begin(deployment.id)
    try:
        ...                         # call the provider
        trial.succeeded()
    except AttemptError as error:
        trial.failed(error)
        raise
    finally:
        trial.cancelled()           # no effect after `succeeded` or `failed`

Nothing here waits or reaches the network: `SharedState` synchronizes servers in the background.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

import structlog

from config.errors import AttemptError
from config.models.deployments import BREAKER_SEPARATOR, RouterSettings
from router.health.breaker import INITIAL, Breaker, BreakerSnapshot, State
from router.health.shared_clock import SharedClock

log = structlog.get_logger(__name__)

MAX_WILDCARD_BREAKERS = 1000
"""Breakers of names under wildcards: the names that callers ask for are endless."""


class Trial:
    """Reports the outcome of one attempt to its breaker. Only the first report counts."""

    __slots__ = ("_breaker", "_breakers", "_ended", "_opened", "_probe", "deployment_id")

    def __init__(self, deployment_id: str, breaker: Breaker, breakers: Breakers) -> None:
        self.deployment_id = deployment_id
        self._breaker, self._breakers = breaker, breakers
        self._opened = breaker.snapshot.opened
        self._probe = breaker.begin_attempt(breakers.clock(), breakers.settings())
        self._ended = False

    def succeeded(self) -> None:
        """The answer is complete. Closes the breaker, unless it opened after this attempt began."""
        if self._end() and self._breaker.record_success(self._breakers.clock(), self._opened):
            log.info("breaker_closed", deployment=self.deployment_id)

    def failed(self, error: AttemptError) -> None:
        """The provider failed. Counts the failure, and opens the breaker when the limit is reached."""
        if not self._end():
            return
        now, settings = self._breakers.clock(), self._breakers.settings()
        if cooldown := self._breaker.record_failure(error, now, self._opened, settings):
            log.warning("breaker_opened", deployment=self.deployment_id, error=error.code, seconds=round(cooldown, 3))

    def cancelled(self) -> None:
        """The attempt says nothing about the provider: the caller hung up, or the request is invalid.

        Counts nothing. If the attempt was the probe, the next attempt becomes the probe.
        """
        if self._end() and self._probe is not None:
            self._breaker.release_probe(self._breakers.clock(), self._probe)

    def _end(self) -> bool:
        was_running, self._ended = not self._ended, True
        return was_running


class Breakers:
    """One breaker for each deployment id, and for each name under a wildcard (`Deployment.breaker_id`).

    Every breaker starts closed.

    A breaker opens for `cooldown_time` seconds at the `allowed_fails`-th failure within a minute (0 counts as 1), at
    once when the provider refuses the key, and for exactly the given time after a 429 with Retry-After. With a
    `cooldown_time` of 0 only Retry-After opens it. `settings` is called every time, so that reloads take effect;
    `clock` counts seconds.
    """

    def __init__(self, settings: Callable[[], RouterSettings], clock: Callable[[], float] | None = None) -> None:
        self.settings = settings
        self.clock = clock or SharedClock()
        self._by_id: dict[str, Breaker] = {}

    def allows(self, deployment_id: str) -> bool:
        """Whether an attempt may begin now. Call it right before `begin`, without an await in between."""
        breaker = self._by_id.get(deployment_id)
        return breaker is None or breaker.allows(self.clock())

    def begin(self, deployment_id: str) -> Trial:
        """Begin an attempt. In a half-open breaker it becomes the probe: `allows` is false until it ends.

        It never refuses: when all breakers are open, an attempt may still be made, and its success closes the breaker.
        A probe that never ends blocks others for `cooldown_time` or `first_token_timeout`, whichever is longer.
        """
        return Trial(deployment_id, self._of(deployment_id), self)

    def state(self, deployment_id: str) -> State:
        """The state to display. Use `allows` to decide."""
        breaker = self._by_id.get(deployment_id)
        return breaker.state(self.clock()) if breaker else "closed"

    def reason(self, deployment_id: str) -> str | None:
        """The code of the error that opened the breaker; None when it is closed."""
        return self._snapshot(deployment_id).error

    def last_attempt(self, deployment_id: str) -> float | None:
        """When this process last began an attempt, on `clock`; None when it never did."""
        breaker = self._by_id.get(deployment_id)
        return breaker.last_attempt if breaker else None

    def retry_after(self, deployment_ids: Iterable[str]) -> float | None:
        """Seconds until the first of these cooldowns ends; None when none is running."""
        now = self.clock()
        ends = [self._snapshot(each).until for each in deployment_ids]
        return min((end - now for end in ends if end is not None and end > now), default=None)

    def least_recently_failed(self, deployment_ids: Iterable[str]) -> str:
        """The id whose last failure is the oldest; the first of equals. Raises ValueError when there are no ids."""
        return min(deployment_ids, key=self._last_failure)

    def keep_only(self, deployment_ids: Collection[str]) -> None:
        """Drop the breakers of all other deployments, for example after a reload of models.yaml."""
        self._by_id = {
            each: breaker
            for each, breaker in self._by_id.items()
            if each in deployment_ids or each.partition(BREAKER_SEPARATOR)[0] in deployment_ids
        }

    def reset(self) -> None:
        """Drop all breakers: every deployment counts as closed again."""
        self._by_id = {}

    def snapshots(self) -> Mapping[str, BreakerSnapshot]:
        """The snapshots to share with other servers, by deployment id."""
        return {each: breaker.snapshot for each, breaker in self._by_id.items() if breaker.snapshot is not INITIAL}

    def adopt(self, deployment_id: str, snapshot: BreakerSnapshot) -> None:
        """Take over another server's snapshot if it is newer."""
        self._of(deployment_id).adopt(snapshot)

    def _of(self, deployment_id: str) -> Breaker:
        breaker = self._by_id.get(deployment_id)
        if breaker is None:
            if BREAKER_SEPARATOR in deployment_id:
                self._drop_oldest_name()
            breaker = self._by_id[deployment_id] = Breaker()
        return breaker

    def _drop_oldest_name(self) -> None:
        """Make room for one more name under a wildcard."""
        names = [each for each in self._by_id if BREAKER_SEPARATOR in each]
        if len(names) >= MAX_WILDCARD_BREAKERS:
            del self._by_id[names[0]]

    def _snapshot(self, deployment_id: str) -> BreakerSnapshot:
        breaker = self._by_id.get(deployment_id)
        return breaker.snapshot if breaker else INITIAL

    def _last_failure(self, deployment_id: str) -> float:
        breaker = self._by_id.get(deployment_id)
        return breaker.last_failure if breaker and breaker.last_failure is not None else float("-inf")
