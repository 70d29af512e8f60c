"""What each deployment has spent of its `rpm` and `tpm`. Nothing here waits: `SharedState` brings the other servers'
counts in the background.

The minute slides: what was spent in the calendar minute before counts by the share of it that is less than 60 seconds
ago, as if it had been spent evenly. A deployment's requests of any 60 seconds so stay about its limit, and two numbers
a minute are all that servers have to tell each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from config.models.deployments import Deployment
from router.health.shared_clock import SharedClock

MINUTE = 60


@dataclass(frozen=True, slots=True)
class Usage:
    """What was spent on one deployment in one calendar minute."""

    requests: int = 0
    tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(self.requests + other.requests, self.tokens + other.tokens)


NOTHING = Usage()

Spending = Mapping[int, Mapping[str, Usage]]
"""Usage by calendar minute (minutes since 1970), then by deployment id."""


class RateLimits:
    """Counts what deployments with limits are used. `clock` counts seconds since 1970."""

    def __init__(self, clock: Callable[[], float] | None = None) -> None:
        self._clock = clock or SharedClock()
        self._own: dict[int, dict[str, Usage]] = {}
        self._others: Spending = {}

    def admits(self, deployment: Deployment) -> bool:
        """Whether one more request is within the deployment's limits. How many tokens it will take is not known, so
        `tpm` refuses only once it is used up.
        """
        if deployment.rpm is None and deployment.tpm is None:
            return True
        spent = self._spent(deployment.id)
        return (deployment.rpm is None or spent.requests < deployment.rpm) and (
            deployment.tpm is None or spent.tokens < deployment.tpm
        )

    def count_request(self, deployment: Deployment) -> None:
        """A request goes out now."""
        self._count(deployment, Usage(requests=1))

    def count_tokens(self, deployment: Deployment, tokens: int) -> None:
        """An answer cost this many tokens, the prompt's among them."""
        self._count(deployment, Usage(tokens=tokens))

    def own(self) -> Spending:
        """What this process spent in this minute and in the one before."""
        self._drop_old()
        return self._own

    def adopt(self, others: Iterable[Spending]) -> None:
        """Take over what each of the other processes spent; it replaces what was known of them."""
        summed: dict[int, dict[str, Usage]] = {}
        for spending in others:
            for minute, usage in spending.items():
                totals = summed.setdefault(minute, {})
                for deployment_id, used in usage.items():
                    totals[deployment_id] = totals.get(deployment_id, NOTHING) + used
        self._others = summed

    def _count(self, deployment: Deployment, used: Usage) -> None:
        if deployment.rpm is None and deployment.tpm is None:
            return
        self._drop_old()
        minute = self._own.setdefault(int(self._clock() // MINUTE), {})
        minute[deployment.id] = minute.get(deployment.id, NOTHING) + used

    def _spent(self, deployment_id: str) -> Usage:
        minute, second = divmod(self._clock(), MINUTE)
        now, before = (self._of_all(int(minute) - back, deployment_id) for back in (0, 1))
        left = 1 - second / MINUTE
        return now + Usage(int(before.requests * left), int(before.tokens * left))

    def _of_all(self, minute: int, deployment_id: str) -> Usage:
        own, others = self._own.get(minute, {}), self._others.get(minute, {})
        return own.get(deployment_id, NOTHING) + others.get(deployment_id, NOTHING)

    def _drop_old(self) -> None:
        oldest = int(self._clock() // MINUTE) - 1
        for minute in [each for each in self._own if each < oldest]:
            del self._own[minute]
