"""What all turns of one process share: the models, the lanes, and what was learnt about each deployment."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random
from typing import Protocol

from config.models.deployments import Deployment
from router.health.breakers import Breakers
from router.health.rate_limits import RateLimits
from router.health.stats import Stats
from router.hedge import HedgeBudget
from router.history import CallOrigins
from router.lanes.base import Lane
from router.registry import LiveRegistry


class LaneSource(Protocol):
    """Chooses the lane of a deployment; `router.lanes.selection.Lanes` is the real one."""

    def for_deployment(self, deployment: Deployment) -> Lane: ...


@dataclass(frozen=True, slots=True)
class RouterState:
    """`clock` counts seconds. Tests replace `clock`, `sleep` and `random`."""

    registry: LiveRegistry
    lanes: LaneSource
    breakers: Breakers
    rate_limits: RateLimits = field(default_factory=RateLimits)
    stats: Stats = field(default_factory=Stats)
    hedges: HedgeBudget = field(default_factory=HedgeBudget)
    origins: CallOrigins = field(default_factory=CallOrigins)
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    random: Random = field(default_factory=Random)

    def may_try(self, deployment: Deployment) -> bool:
        """Whether the deployment's breaker and rate limits allow one more attempt now."""
        return self.breakers.allows(deployment.breaker_id) and self.rate_limits.admits(deployment)
