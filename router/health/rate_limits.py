"""Tracks each deployment's usage against its `rpm` and `tpm` (requests and tokens per minute).

The window slides: usage in the previous calendar minute counts in proportion to how much of that minute lies within
the last 60 seconds. This keeps any 60 seconds close to the limit, and servers only need to share two numbers per
minute. Nothing here waits: `SharedState` fetches the other servers' usage in the background.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from config.models.deployments import Deployment
from router.health.shared_clock import SharedClock

MINUTE = 60


@dataclass(frozen=True, slots=True)
class DeploymentUsage:
    """Requests and tokens of one deployment in one calendar minute."""

    requests: int = 0
    tokens: int = 0

    def __add__(self, other: DeploymentUsage) -> DeploymentUsage:
        return DeploymentUsage(self.requests + other.requests, self.tokens + other.tokens)


NO_USAGE = DeploymentUsage()

UsageByMinute = Mapping[int, Mapping[str, DeploymentUsage]]
"""Usage by calendar minute (minutes since 1970), then by deployment id."""


class RateLimits:
    """Counts the usage of all deployments that have limits. `clock` counts seconds since 1970."""

    def __init__(self, clock: Callable[[], float] | None = None) -> None:
        self._clock = clock or SharedClock()
        self._own: dict[int, dict[str, DeploymentUsage]] = {}
        self._others: UsageByMinute = {}

    def admits(self, deployment: Deployment) -> bool:
        """Whether the deployment's limits allow one more request.

        The tokens of a request are not known in advance, so `tpm` only refuses once it is used up.
        """
        if deployment.rpm is None and deployment.tpm is None:
            return True
        usage = self.in_last_minute(deployment.id)
        return (deployment.rpm is None or usage.requests < deployment.rpm) and (
            deployment.tpm is None or usage.tokens < deployment.tpm
        )

    def count_request(self, deployment: Deployment) -> None:
        """Count one request, when it is sent."""
        self._count(deployment, DeploymentUsage(requests=1))

    def count_tokens(self, deployment: Deployment, tokens: int) -> None:
        """Count the tokens of a prompt and its answer."""
        self._count(deployment, DeploymentUsage(tokens=tokens))

    def own_usage(self) -> UsageByMinute:
        """This process's usage in the current and the previous calendar minute."""
        self._drop_old()
        return self._own

    def adopt(self, others: Iterable[UsageByMinute]) -> None:
        """Replace the usage of all other processes."""
        summed: dict[int, dict[str, DeploymentUsage]] = {}
        for by_minute in others:
            for minute, by_deployment in by_minute.items():
                totals = summed.setdefault(minute, {})
                for deployment_id, usage in by_deployment.items():
                    totals[deployment_id] = totals.get(deployment_id, NO_USAGE) + usage
        self._others = summed

    def _count(self, deployment: Deployment, usage: DeploymentUsage) -> None:
        if deployment.rpm is None and deployment.tpm is None:
            return
        self._drop_old()
        minute = self._own.setdefault(int(self._clock() // MINUTE), {})
        minute[deployment.id] = minute.get(deployment.id, NO_USAGE) + usage

    def in_last_minute(self, deployment_id: str) -> DeploymentUsage:
        """The usage of all servers in the last 60 seconds. Only deployments with limits are counted."""
        minute, second = divmod(self._clock(), MINUTE)
        current, previous = (self._total(int(minute) - back, deployment_id) for back in (0, 1))
        share = 1 - second / MINUTE
        return current + DeploymentUsage(int(previous.requests * share), int(previous.tokens * share))

    def _total(self, minute: int, deployment_id: str) -> DeploymentUsage:
        own, others = self._own.get(minute, {}), self._others.get(minute, {})
        return own.get(deployment_id, NO_USAGE) + others.get(deployment_id, NO_USAGE)

    def _drop_old(self) -> None:
        oldest = int(self._clock() // MINUTE) - 1
        for minute in [each for each in self._own if each < oldest]:
            del self._own[minute]
