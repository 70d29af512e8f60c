"""Load balancing: orders the deployments of a group. Pure functions.

The strategies have LiteLLM's names (https://docs.litellm.ai/docs/routing).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from random import Random

from config.models.deployments import Deployment, RoutingStrategy
from router.health.stats import Stats

EXPLORE = 0.1
"""Share of turns in which `latency-based-routing` ignores its measurements, to notice when a slow provider recovers."""


def order_to_try(
    deployments: Iterable[Deployment], strategy: RoutingStrategy, stats: Stats, random: Random
) -> list[Deployment]:
    """All `deployments`, best first: by `order`, then by strategy, then at random by `weight`."""
    shuffled = sorted(deployments, key=lambda each: _weighted_draw(each.weight, random), reverse=True)
    shuffled.sort(key=_preference(strategy, stats, random))
    shuffled.sort(key=lambda each: each.order)
    return shuffled


def _weighted_draw(weight: float, random: Random) -> float:
    # Sorting by u^(1/w) is weighted sampling without replacement (Efraimidis and Spirakis, 2006).
    return random.random() ** (1 / weight) if weight > 0 else -random.random()


def _preference(strategy: RoutingStrategy, stats: Stats, random: Random) -> Callable[[Deployment], float]:
    if strategy == "least-busy":
        return lambda each: stats[each.id].in_flight
    if strategy == "latency-based-routing" and random.random() >= EXPLORE:
        # A deployment without a measurement counts as the fastest, so that it is measured.
        return lambda each: stats[each.id].first_token or 0.0
    return lambda each: 0.0
