from __future__ import annotations

from collections import Counter
from random import Random

from router.balance import order_to_try
from router.health.stats import Stats
from tests.support.scripted_lane import deployment


def first_choices(strategy: str, stats: Stats, *deployments: object, draws: int = 2000) -> Counter[str]:
    random = Random(7)
    return Counter(order_to_try(deployments, strategy, stats, random)[0].model for _ in range(draws))  # type: ignore[arg-type]


def test_every_deployment_is_in_the_order_exactly_once() -> None:
    group = [deployment(name, weight=weight) for name, weight in (("a", 1), ("b", 0), ("c", 5))]
    ordered = order_to_try(group, "simple-shuffle", Stats(), Random(1))
    assert sorted(each.model for each in ordered) == ["a", "b", "c"]
    assert ordered[-1].model == "b"


def test_a_lower_order_comes_first_whatever_the_weight() -> None:
    chosen = first_choices("simple-shuffle", Stats(), deployment("a", order=1), deployment("b", order=2, weight=1000))
    assert set(chosen) == {"a"}


def test_weights_are_shares() -> None:
    chosen = first_choices("simple-shuffle", Stats(), deployment("a", weight=3), deployment("b", weight=1))
    assert 0.70 < chosen["a"] / chosen.total() < 0.80


def test_least_busy_prefers_the_fewest_requests_in_flight() -> None:
    stats = Stats()
    stats["main/a"].in_flight = 2
    stats["main/b"].in_flight = 1
    assert set(first_choices("least-busy", stats, deployment("a", weight=9), deployment("b"))) == {"b"}


def test_the_fastest_first_token_wins_but_others_are_still_measured() -> None:
    stats = Stats()
    stats["main/a"].answered(0.2)
    stats["main/b"].answered(0.9)
    chosen = first_choices("latency-based-routing", stats, deployment("a"), deployment("b"))
    assert chosen["a"] > 15 * chosen["b"] > 0


def test_the_moving_average_follows_a_provider_that_becomes_slow() -> None:
    stats = Stats()
    for _ in range(20):
        stats["a"].answered(0.1)
    for _ in range(10):
        stats["a"].answered(1.0)
    assert stats["a"].first_token is not None
    assert 0.8 < stats["a"].first_token < 1.0
