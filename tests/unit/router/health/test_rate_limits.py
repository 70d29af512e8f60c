"""The usage of a deployment against its rpm and tpm."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.models.deployments import Deployment
from router.health.rate_limits import DeploymentUsage, RateLimits


class Clock:
    now = 6000.0  # the start of a minute

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limits(clock: Clock) -> RateLimits:
    return RateLimits(clock)


def deployment(deployment_id: str = "x", **fields: Any) -> Deployment:
    return Deployment(id=deployment_id, group="g", model="m", **fields)


def spend(limits: RateLimits, on: Deployment, times: int) -> None:
    for _ in range(times):
        limits.count_request(on)


def test_rpm_requests_are_admitted_per_minute(limits: RateLimits) -> None:
    three = deployment(rpm=3)
    spend(limits, three, 2)
    assert limits.admits(three)
    spend(limits, three, 1)
    assert not limits.admits(three)
    assert limits.admits(deployment("y", rpm=3))


def test_tokens_are_admitted_until_tpm_is_used_up(limits: RateLimits) -> None:
    thousand = deployment(tpm=1000)
    limits.count_request(thousand)
    limits.count_tokens(thousand, 999)
    assert limits.admits(thousand)
    limits.count_tokens(thousand, 1)
    assert not limits.admits(thousand)


def test_a_limit_of_zero_admits_nothing(limits: RateLimits) -> None:
    assert not limits.admits(deployment(rpm=0))
    assert not limits.admits(deployment(tpm=0))


def test_without_limits_everything_is_admitted_and_nothing_is_counted(limits: RateLimits) -> None:
    spend(limits, deployment(), 1000)
    limits.count_tokens(deployment(), 10**9)
    assert limits.admits(deployment())
    assert limits.own_usage() == {}


def test_usage_of_the_previous_minute_expires_gradually(limits: RateLimits, clock: Clock) -> None:
    ten = deployment(rpm=10)
    spend(limits, ten, 10)
    clock.now += 60
    assert not limits.admits(ten)
    clock.now += 30
    spend(limits, ten, 5)
    assert not limits.admits(ten)
    clock.now += 30
    assert limits.admits(ten)


def test_usage_is_forgotten_after_two_minutes(limits: RateLimits, clock: Clock) -> None:
    one = deployment(rpm=1, tpm=1)
    spend(limits, one, 1)
    limits.count_tokens(one, 100)
    clock.now += 120
    assert limits.admits(one)
    assert limits.own_usage() == {}


def test_a_limit_of_one_is_free_again_within_the_next_minute(limits: RateLimits, clock: Clock) -> None:
    one = deployment(rpm=1)
    spend(limits, one, 1)
    clock.now += 61
    assert limits.admits(one)


def test_usage_of_other_servers_counts_until_it_is_replaced(limits: RateLimits, clock: Clock) -> None:
    ten, minute = deployment(rpm=10), int(clock.now // 60)
    spend(limits, ten, 4)
    for _ in range(3):
        limits.adopt([{minute: {"x": DeploymentUsage(requests=3)}}, {minute: {"x": DeploymentUsage(requests=2)}}])
        assert limits.admits(ten)
    limits.adopt([{minute: {"x": DeploymentUsage(requests=3)}}, {minute: {"x": DeploymentUsage(requests=3)}}])
    assert not limits.admits(ten)
    assert limits.own_usage() == {minute: {"x": DeploymentUsage(requests=4)}}


@given(rpm=st.integers(1, 20), gaps=st.lists(st.floats(0.0, 20.0), max_size=200))
def test_however_requests_come_no_calendar_minute_has_more_than_rpm(rpm: int, gaps: list[float]) -> None:
    clock = Clock()
    limits, limited = RateLimits(clock), deployment(rpm=rpm)
    by_minute: dict[int, int] = {}
    for gap in gaps:
        clock.now += gap
        if limits.admits(limited):
            limits.count_request(limited)
            minute = int(clock.now // 60)
            by_minute[minute] = by_minute.get(minute, 0) + 1
    assert all(count <= rpm for count in by_minute.values())
    assert not gaps or by_minute  # the first request always goes out
