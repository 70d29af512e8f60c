"""Per-process statistics of each deployment: requests in flight, first-token time, last error."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

EWMA_WEIGHT = 0.2
"""Weight of the newest first-token time in the moving average: about the last ten answers count."""


@dataclass(slots=True)
class DeploymentStats:
    """`first_token` is a moving average in seconds, None until the deployment has answered once."""

    in_flight: int = 0
    first_token: float | None = None
    last_error: str | None = None

    def answered(self, first_token: float) -> None:
        average = first_token if self.first_token is None else self.first_token
        self.first_token = average + EWMA_WEIGHT * (first_token - average)
        self.last_error = None


@dataclass(slots=True)
class Stats:
    """Statistics by deployment id; an unknown id gets new ones."""

    by_id: defaultdict[str, DeploymentStats] = field(default_factory=lambda: defaultdict(DeploymentStats))

    def __getitem__(self, deployment_id: str) -> DeploymentStats:
        return self.by_id[deployment_id]
