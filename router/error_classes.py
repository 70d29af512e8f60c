"""LiteLLM's `retry_policy` and `allowed_fails_policy`: numbers by LiteLLM's class of an error."""

from __future__ import annotations

from config.errors import (
    AnswerCut,
    BadAnswer,
    ConnectionFailed,
    ContentPolicyViolation,
    CredentialsRefused,
    ProviderOverloaded,
    ProviderTimeout,
    RateLimited,
    RequestRejected,
    SwitchboardError,
)
from config.models.deployments import RouterSettings

_OVERLOADED = {408: "TimeoutError", 502: "BadGatewayError", 503: "ServiceUnavailableError"}


def retries_in_policy(error: SwitchboardError, settings: RouterSettings) -> int | None:
    """The retries that `retry_policy` allows after this error; None if it does not say."""
    policy, name = settings.retry_policy, litellm_class(error)
    return policy.get(name, policy.get("Default")) if name else None


def allowed_fails_in_policy(error: SwitchboardError, settings: RouterSettings) -> int | None:
    """The failures of this kind that `allowed_fails_policy` allows; None if it does not say."""
    return settings.allowed_fails_policy.get(litellm_class(error) or "")


def litellm_class(error: SwitchboardError) -> str | None:
    """The class that LiteLLM gives the error; None for one that a policy does not change.

    A prompt that is too long is a BadRequestError in LiteLLM. A retry would only repeat it.
    """
    match error:
        case RateLimited():
            return "RateLimitError"
        case ProviderTimeout():
            return "TimeoutError"
        case CredentialsRefused():
            return "NotFoundError" if error.status == 404 else "AuthenticationError"
        case ProviderOverloaded():
            return _OVERLOADED.get(error.status or 500, "InternalServerError")
        case ConnectionFailed() | BadAnswer() | AnswerCut():
            return "InternalServerError"
        case ContentPolicyViolation():
            return "ContentPolicyViolationError"
        case RequestRejected():
            return "BadRequestError"
        case _:
            return None
