"""`retry_policy` and `allowed_fails_policy` of models.yaml: numbers for each of LiteLLM's classes of errors."""

from __future__ import annotations

from collections.abc import Mapping

from config.parsing.sections import Count, Section


class RetryPolicy(Section):
    """Retries at the same deployment by class of error; `num_retries` for the others."""

    unknown_keys = "ignored"

    BadRequestErrorRetries: Count | None = None
    AuthenticationErrorRetries: Count | None = None
    TimeoutErrorRetries: Count | None = None
    RateLimitErrorRetries: Count | None = None
    ContentPolicyViolationErrorRetries: Count | None = None
    InternalServerErrorRetries: Count | None = None
    ServiceUnavailableErrorRetries: Count | None = None
    NotFoundErrorRetries: Count | None = None
    DefaultRetries: Count | None = None


class AllowedFailsPolicy(Section):
    """Failures within a minute that leave the circuit breaker closed, by class of error; the next one opens it."""

    unknown_keys = "ignored"

    BadRequestErrorAllowedFails: Count | None = None
    AuthenticationErrorAllowedFails: Count | None = None
    TimeoutErrorAllowedFails: Count | None = None
    RateLimitErrorAllowedFails: Count | None = None
    ContentPolicyViolationErrorAllowedFails: Count | None = None
    InternalServerErrorAllowedFails: Count | None = None
    ServiceUnavailableErrorAllowedFails: Count | None = None
    BadGatewayErrorAllowedFails: Count | None = None
    NotFoundErrorAllowedFails: Count | None = None


def by_error_class(policy: RetryPolicy | AllowedFailsPolicy | None) -> Mapping[str, int] | None:
    """The numbers that are set, by class of error: `{"RateLimitError": 3}`. None without a policy."""
    if policy is None:
        return None
    return {
        name.removesuffix("Retries").removesuffix("AllowedFails"): number
        for name, number in policy.model_dump(exclude_none=True).items()
    }
