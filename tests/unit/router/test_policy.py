from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.errors import (
    AnswerCut,
    AttemptError,
    BadAnswer,
    ConnectionFailed,
    ContentPolicyViolation,
    ContextWindowExceeded,
    CredentialsRefused,
    InvalidToolCall,
    ProviderOverloaded,
    ProviderTimeout,
    RateLimited,
    RequestError,
    RequestRejected,
    StaleConnection,
    SwitchboardError,
)
from config.models.deployments import RouterSettings
from router.policy import Decision, GiveUp, NextDeployment, NextGroup, RetryHere, decide


def decision(
    error: SwitchboardError,
    *,
    retries: int = 0,
    alternatives: bool = True,
    remaining: float = 30,
    policy: dict[str, int] | None = None,
    num_retries: int = 2,
) -> Decision:
    return decide(
        error,
        retries=retries,
        alternatives=alternatives,
        remaining=remaining,
        settings=RouterSettings(num_retries=num_retries, max_retry_after=5, retry_policy=policy or {}),
        random=Random(1),
    )


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ContextWindowExceeded(""), NextGroup("context_window")),
        (ContentPolicyViolation(""), NextGroup("content_policy")),
        (RequestError(""), GiveUp()),
        (RequestRejected(""), NextDeployment()),
        (InvalidToolCall(""), RetryHere(0.0)),
        (ProviderTimeout(""), NextDeployment()),
        (CredentialsRefused(""), NextDeployment()),
        (ConnectionFailed(""), RetryHere(0.0)),
        (StaleConnection(""), RetryHere(0.0)),
        (BadAnswer(""), RetryHere(0.0)),
        (AnswerCut(""), NextDeployment()),
    ],
    ids=lambda value: type(value).__name__,
)
def test_each_failure_has_the_decision_of_the_failover_table(error: SwitchboardError, expected: Decision) -> None:
    assert decision(error) == expected


@pytest.mark.parametrize("error", [ConnectionFailed(""), BadAnswer(""), AnswerCut("")], ids=lambda error: error.code)
def test_a_failed_connection_is_retried_once(error: AttemptError) -> None:
    assert decision(error, alternatives=False) == RetryHere(0.0)
    assert decision(error, alternatives=False, retries=1) == NextDeployment()


def test_an_idle_connection_that_broke_is_replaced_once_also_without_retries() -> None:
    assert decision(StaleConnection(""), num_retries=0) == RetryHere(0.0)
    assert decision(StaleConnection(""), num_retries=0, retries=1) == NextDeployment()


@pytest.mark.parametrize("error", [ProviderOverloaded(""), RateLimited("")], ids=lambda error: error.code)
def test_an_overloaded_provider_is_retried_with_exponential_backoff(error: AttemptError) -> None:
    assert isinstance(decision(error, retries=1), RetryHere)
    assert decision(error, retries=2) == NextDeployment()


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (ProviderTimeout(""), "TimeoutError"),
        (ProviderOverloaded("", status=408), "TimeoutError"),
        (ProviderOverloaded("", status=500), "InternalServerError"),
        (ProviderOverloaded("", status=503), "ServiceUnavailableError"),
        (ConnectionFailed(""), "InternalServerError"),
        (RateLimited(""), "RateLimitError"),
        (CredentialsRefused("", status=401), "AuthenticationError"),
        (CredentialsRefused("", status=404), "NotFoundError"),
        (RequestRejected(""), "BadRequestError"),
        (ContentPolicyViolation(""), "ContentPolicyViolationError"),
        (BadAnswer(""), "Default"),
    ],
)
def test_a_retry_policy_sets_the_retries_of_each_class_of_error(error: SwitchboardError, name: str) -> None:
    assert isinstance(decision(error, retries=3, policy={name: 4}), RetryHere)
    assert not isinstance(decision(error, retries=4, policy={name: 4}), RetryHere)
    assert not isinstance(decision(error, policy={name: 0}), RetryHere)
    assert decision(error, retries=2, policy={"Other": 4}) == decision(error, retries=2)


def test_a_retry_policy_repeats_neither_a_prompt_that_is_too_long_nor_a_cut_nor_a_long_wait() -> None:
    policy = {"Default": 4, "RateLimitError": 4}
    assert decision(ContextWindowExceeded(""), policy=policy) == NextGroup("context_window")
    assert decision(AnswerCut(""), policy=policy) == NextDeployment()
    assert decision(RateLimited("", retry_after=2.0), policy=policy) == NextDeployment()
    assert decision(ProviderTimeout(""), remaining=0.0, policy=policy) == NextDeployment()


def test_retry_after_is_honoured_only_without_an_alternative() -> None:
    assert decision(RateLimited("", retry_after=2.0)) == NextDeployment()
    assert decision(RateLimited("", retry_after=2.0), alternatives=False) == RetryHere(2.0)
    assert decision(RateLimited("", retry_after=5.5), alternatives=False) == NextDeployment()
    assert decision(RateLimited("", retry_after=2.0), alternatives=False, remaining=1.9) == NextDeployment()


errors = st.sampled_from(
    [RateLimited, ProviderOverloaded, ConnectionFailed, ProviderTimeout, BadAnswer, CredentialsRefused, AnswerCut]
)


@given(
    error=errors.map(lambda kind: kind("failed"))
    | st.floats(0, 60).map(lambda after: RateLimited("", retry_after=after)),
    alternatives=st.booleans(),
    remaining=st.floats(0, 30),
    num_retries=st.integers(0, 5),
    seed=st.integers(),
)
def test_retries_end_and_never_pass_the_deadline(
    error: AttemptError, alternatives: bool, remaining: float, num_retries: int, seed: int
) -> None:
    settings, random = RouterSettings(num_retries=num_retries), Random(seed)
    retries = 0
    while True:
        made = decide(
            error, retries=retries, alternatives=alternatives, remaining=remaining, settings=settings, random=random
        )
        if not isinstance(made, RetryHere):
            break
        assert not isinstance(error, ProviderTimeout | CredentialsRefused)
        assert 0 <= made.delay < remaining
        remaining -= made.delay
        retries += 1
    assert retries <= num_retries
    assert made == NextDeployment()
