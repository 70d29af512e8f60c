"""When a breaker opens, for how long, and how it closes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from config.errors import (
    AnswerCut,
    AttemptError,
    BadAnswer,
    ConnectionFailed,
    CredentialsRefused,
    ProviderOverloaded,
    ProviderTimeout,
    RateLimited,
)
from config.models.deployments import Deployment, RouterSettings, Timeouts
from router.health.breaker import WINDOW, BreakerSnapshot
from router.health.breakers import MAX_WILDCARD_BREAKERS, Breakers, Trial

COOLDOWN = 5.0


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breakers(clock: Clock) -> Breakers:
    return breakers_with(clock)


def breakers_with(clock: Clock, **settings: Any) -> Breakers:
    chosen = RouterSettings(**{"allowed_fails": 3, "cooldown_time": COOLDOWN, **settings})
    return Breakers(lambda: chosen, clock)


def fail(breakers: Breakers, times: int = 1, error: AttemptError | None = None, deployment_id: str = "x") -> None:
    for _ in range(times):
        breakers.begin(deployment_id).failed(error or ProviderOverloaded("503"))


def succeed(breakers: Breakers, deployment_id: str = "x") -> None:
    breakers.begin(deployment_id).succeeded()


def cooldown(breakers: Breakers) -> float | None:
    return breakers.retry_after(["x"])


COUNTED = [ProviderOverloaded, ConnectionFailed, ProviderTimeout, BadAnswer, AnswerCut, RateLimited]


@pytest.mark.parametrize("kind", COUNTED)
def test_it_opens_at_the_allowed_fails_th_failure(breakers: Breakers, kind: type[AttemptError]) -> None:
    fail(breakers, 2, kind("no"))
    assert breakers.state("x") == "closed" and breakers.allows("x")
    fail(breakers, 1, kind("no"))
    assert breakers.state("x") == "open" and not breakers.allows("x")
    assert (breakers.reason("x"), cooldown(breakers)) == (kind.code, COOLDOWN)
    assert breakers.allows("y") and breakers.state("y") == "closed"


@pytest.mark.parametrize("allowed", [0, 1])
def test_with_allowed_fails_of_0_or_1_the_first_failure_opens_it(clock: Clock, allowed: int) -> None:
    breakers = breakers_with(clock, allowed_fails=allowed)
    fail(breakers)
    assert breakers.state("x") == "open"


def test_failures_add_up_within_a_minute_also_across_successes(breakers: Breakers, clock: Clock) -> None:
    fail(breakers)
    succeed(breakers)
    clock.now += WINDOW - 1
    fail(breakers)
    clock.now += 1
    fail(breakers)
    assert breakers.state("x") == "closed"
    fail(breakers)
    assert breakers.state("x") == "open"


def test_retry_after_opens_it_at_once_for_exactly_that_time(breakers: Breakers, clock: Clock) -> None:
    fail(breakers, 1, RateLimited("429", retry_after=42.0))
    assert cooldown(breakers) == 42.0
    clock.now += 41.9
    assert not breakers.allows("x")
    clock.now += 0.1
    assert breakers.allows("x") and breakers.state("x") == "half-open" and cooldown(breakers) is None


def test_a_retry_after_of_0_counts_like_any_failure(breakers: Breakers) -> None:
    fail(breakers, 2, RateLimited("429", retry_after=0.0))
    assert breakers.state("x") == "closed"
    fail(breakers, 1, RateLimited("429", retry_after=0.0))
    assert cooldown(breakers) == COOLDOWN


def test_a_refused_key_opens_it_at_once(breakers: Breakers) -> None:
    fail(breakers, 1, CredentialsRefused("401"))
    assert cooldown(breakers) == COOLDOWN


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (ProviderTimeout("slow"), "TimeoutError"),
        (ProviderOverloaded("502", status=502), "BadGatewayError"),
        (CredentialsRefused("401", status=401), "AuthenticationError"),
        (RateLimited("429", retry_after=30.0), "RateLimitError"),
    ],
)
def test_an_allowed_fails_policy_opens_it_only_above_its_number(clock: Clock, error: AttemptError, name: str) -> None:
    breakers = breakers_with(clock, allowed_fails_policy={name: 5})
    fail(breakers, 5, error)
    assert breakers.state("x") == "closed"
    fail(breakers, 1, error)
    assert breakers.state("x") == "open" and cooldown(breakers) == COOLDOWN


def test_without_a_cooldown_only_retry_after_opens_it(clock: Clock) -> None:
    breakers = breakers_with(clock, cooldown_time=0.0)
    fail(breakers, 10)
    fail(breakers, 1, CredentialsRefused("401"))
    assert breakers.state("x") == "closed" and breakers.allows("x")
    fail(breakers, 1, RateLimited("429", retry_after=1.0))
    assert cooldown(breakers) == 1.0


def test_after_the_cooldown_a_single_attempt_probes_and_its_success_closes(breakers: Breakers, clock: Clock) -> None:
    fail(breakers, 3)
    clock.now += COOLDOWN
    probe = breakers.begin("x")
    assert breakers.state("x") == "half-open" and not breakers.allows("x")
    breakers.begin("x").cancelled()  # not the probe
    assert not breakers.allows("x")
    probe.succeeded()
    assert breakers.state("x") == "closed" and breakers.allows("x") and breakers.reason("x") is None
    fail(breakers, 2)
    assert breakers.state("x") == "closed"


def test_a_probe_that_fails_starts_a_new_cooldown(breakers: Breakers, clock: Clock) -> None:
    fail(breakers, 3)
    clock.now += COOLDOWN
    probe = breakers.begin("x")
    clock.now += 2
    probe.failed(ProviderTimeout("silent"))
    assert (breakers.state("x"), breakers.reason("x"), cooldown(breakers)) == ("open", "provider_timeout", COOLDOWN)


def test_a_cancelled_probe_counts_nothing_and_the_next_attempt_probes(breakers: Breakers, clock: Clock) -> None:
    fail(breakers, 3)
    clock.now += COOLDOWN
    breakers.begin("x").cancelled()
    assert breakers.state("x") == "half-open" and breakers.allows("x")
    breakers.begin("x")
    assert not breakers.allows("x")


def test_hang_ups_never_count(breakers: Breakers) -> None:
    for _ in range(100):
        breakers.begin("x").cancelled()
    assert breakers.state("x") == "closed" and breakers.snapshots() == {}


def test_a_probe_that_never_ends_blocks_others_only_for_a_while(clock: Clock) -> None:
    breakers = breakers_with(clock, timeouts=Timeouts(first_token_timeout=20.0))
    fail(breakers, 3)
    clock.now += COOLDOWN
    breakers.begin("x")
    clock.now += 19.9
    assert not breakers.allows("x")
    clock.now += 0.1
    assert breakers.allows("x")
    breakers.begin("x")
    assert not breakers.allows("x")


def test_cancelling_an_expired_probe_does_not_release_its_successor(breakers: Breakers, clock: Clock) -> None:
    fail(breakers, 3)
    clock.now += COOLDOWN
    expired = breakers.begin("x")
    clock.now += COOLDOWN
    assert breakers.allows("x")
    breakers.begin("x")
    expired.cancelled()
    assert not breakers.allows("x")


def test_the_success_of_an_expired_probe_still_closes_it(breakers: Breakers, clock: Clock) -> None:
    fail(breakers, 3)
    clock.now += COOLDOWN
    probe = breakers.begin("x")
    clock.now += 3 * COOLDOWN
    breakers.begin("x")
    probe.succeeded()
    assert breakers.state("x") == "closed"


def test_only_the_first_outcome_of_a_trial_counts(breakers: Breakers, clock: Clock) -> None:
    trial = breakers.begin("x")
    for _ in range(5):
        trial.failed(ProviderOverloaded("503"))
    assert breakers.state("x") == "closed"
    fail(breakers, 2)
    clock.now += COOLDOWN
    probe = breakers.begin("x")
    probe.failed(ProviderOverloaded("503"))
    probe.cancelled()
    probe.succeeded()
    assert breakers.state("x") == "open"


def test_the_success_of_an_attempt_from_before_the_opening_does_not_close_it(breakers: Breakers) -> None:
    early = breakers.begin("x")
    fail(breakers, 1, RateLimited("429", retry_after=30.0))
    early.succeeded()
    assert cooldown(breakers) == 30.0


def test_failures_that_began_before_the_opening_do_not_shorten_or_restart_the_cooldown(
    breakers: Breakers, clock: Clock
) -> None:
    early = [breakers.begin("x") for _ in range(3)]
    fail(breakers, 3)
    clock.now += 1
    early[0].failed(ProviderTimeout("silent"))
    early[1].failed(RateLimited("429", retry_after=1.0))
    assert cooldown(breakers) == COOLDOWN - 1
    early[2].failed(RateLimited("429", retry_after=30.0))
    assert cooldown(breakers) == 30.0


def test_the_success_of_an_attempt_on_an_open_breaker_closes_it(breakers: Breakers) -> None:
    fail(breakers, 3)
    forced = breakers.begin("x")
    assert breakers.state("x") == "open"
    forced.succeeded()
    assert breakers.state("x") == "closed"


def test_the_least_recently_failed_is_the_one_with_the_oldest_failure(breakers: Breakers, clock: Clock) -> None:
    for deployment_id in ("b", "a", "c"):
        fail(breakers, 3, deployment_id=deployment_id)
        clock.now += 1
    assert breakers.least_recently_failed(["a", "b", "c"]) == "b"
    fail(breakers, 1, deployment_id="b")
    assert breakers.least_recently_failed(["a", "b", "c"]) == "a"
    assert breakers.least_recently_failed(["a", "never"]) == "never"
    with pytest.raises(ValueError):
        breakers.least_recently_failed([])


def test_retry_after_is_the_end_of_the_first_cooldown(breakers: Breakers) -> None:
    fail(breakers, 1, RateLimited("429", retry_after=9.0), "a")
    fail(breakers, 1, RateLimited("429", retry_after=3.0), "b")
    assert breakers.retry_after(["a", "b", "c"]) == 3.0
    assert breakers.retry_after(["c"]) is None and breakers.retry_after([]) is None


def test_a_reload_changes_what_is_allowed_from_the_next_failure_on(clock: Clock) -> None:
    settings = RouterSettings(allowed_fails=10, cooldown_time=1.0)
    breakers = Breakers(lambda: settings, clock)
    fail(breakers, 2)
    settings = RouterSettings(allowed_fails=3, cooldown_time=7.0)
    fail(breakers)
    assert cooldown(breakers) == 7.0


def test_keep_only_drops_the_other_breakers(breakers: Breakers) -> None:
    fail(breakers, 3)
    fail(breakers, 3, deployment_id="y")
    breakers.keep_only({"y"})
    assert set(breakers.snapshots()) == {"y"}
    assert breakers.allows("x") and not breakers.allows("y")


def test_names_under_a_wildcard_are_kept_with_it_and_are_not_endless(breakers: Breakers) -> None:
    wildcard = Deployment(id="openai/*", group="openai/*", model="openai/*")
    fail(breakers, 3, deployment_id="y")
    names = [wildcard.for_model(f"openai/m{number}").breaker_id for number in range(MAX_WILDCARD_BREAKERS + 1)]
    for name in names:
        fail(breakers, 3, deployment_id=name)
    breakers.keep_only({"openai/*", "y"})
    assert set(breakers.snapshots()) == {"y", *names[1:]}
    breakers.keep_only({"y"})
    assert set(breakers.snapshots()) == {"y"}


def test_the_newer_of_two_snapshots_wins(breakers: Breakers, clock: Clock) -> None:
    fail(breakers, 3)
    (mine,) = breakers.snapshots().values()
    breakers.adopt("x", BreakerSnapshot(at=mine.at - 1))
    assert breakers.state("x") == "open"
    breakers.adopt("x", BreakerSnapshot(at=mine.at + 10))
    assert breakers.state("x") == "closed"
    fail(breakers, 3)
    assert breakers.snapshots()["x"].at > mine.at + 10  # though the other's clock is ahead


def test_an_adopted_failure_counts_as_the_last_failure(breakers: Breakers, clock: Clock) -> None:
    fail(breakers, deployment_id="x")
    breakers.adopt(
        "y", BreakerSnapshot(at=clock.now + 1, until=clock.now + 5, opened=clock.now + 1, error="provider_timeout")
    )
    assert breakers.least_recently_failed(["y", "x"]) == "x"
    assert breakers.reason("y") == "provider_timeout"


def test_opening_and_closing_are_in_the_log(breakers: Breakers) -> None:
    with capture_logs() as logs:
        fail(breakers, 3, ProviderOverloaded("503", provider_text="provider's words"))
        succeed(breakers)
    assert [(each["event"], each["log_level"], each["deployment"]) for each in logs] == [
        ("breaker_opened", "warning", "x"),
        ("breaker_closed", "info", "x"),
    ]
    assert "provider's words" not in repr(logs)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("begin"), st.just(0)),
        st.tuples(st.sampled_from(["succeeded", "cancelled", "failed", "limited", "refused"]), st.integers(0, 5)),
        st.tuples(st.just("later"), st.integers(0, 100)),
    ),
    max_size=60,
)


@given(STEPS)
def test_at_most_one_probe_runs_and_every_cooldown_ends(
    steps: list[tuple[str, int]],
) -> None:
    clock = Clock()
    breakers, running = breakers_with(clock), list[Trial]()
    for step, number in steps:
        if step == "later":
            clock.now += number / 10
        elif step == "begin":
            was_half_open = breakers.state("x") == "half-open" and breakers.allows("x")
            running.append(breakers.begin("x"))
            assert not (was_half_open and breakers.allows("x"))
        elif number < len(running):
            trial = running.pop(number)
            match step:
                case "succeeded":
                    trial.succeeded()
                case "cancelled":
                    trial.cancelled()
                case "failed":
                    trial.failed(ProviderOverloaded("503"))
                case "limited":
                    trial.failed(RateLimited("429", retry_after=7.0))
                case "refused":
                    trial.failed(CredentialsRefused("401"))
        assert breakers.allows("x") == (breakers.retry_after(["x"]) is None)
    clock.now += 7.1
    assert breakers.allows("x")
    succeed(breakers)
    assert breakers.state("x") == "closed"
