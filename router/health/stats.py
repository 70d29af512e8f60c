"""What this process has seen of each deployment: how busy it is, how fast it answers, how it last failed."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

EWMA_WEIGHT = 0.2
"""Share of the newest first-token time in the moving average: about the last ten answers count."""


@dataclass(slots=True)
class DeploymentStats:
    """Times are in seconds. `first_token` is a moving average, None until the deployment has answered once."""

    in_flight: int = 0
    first_token: float | None = None
    last_error: str | None = None

    def answered(self, first_token: float) -> None:
        known = first_token if self.first_token is None else self.first_token
        self.first_token = known + EWMA_WEIGHT * (first_token - known)
        self.last_error = None


@dataclass(slots=True)
class Stats:
    """Stats by deployment id; an id that was never seen has fresh ones."""

    by_id: defaultdict[str, DeploymentStats] = field(default_factory=lambda: defaultdict(DeploymentStats))

    def __getitem__(self, deployment_id: str) -> DeploymentStats:
        return self.by_id[deployment_id]
