"""The failures that the fake model can simulate, as the errors that a real lane raises."""

from __future__ import annotations

from config.errors import (
    AnswerCut,
    AttemptError,
    BadAnswer,
    ConnectionFailed,
    ContentPolicyViolation,
    ContextWindowExceeded,
    CredentialsRefused,
    ProviderOverloaded,
    RateLimited,
    RequestRejected,
    SwitchboardError,
)

HANGING = frozenset({"silent", "stall"})
"""The kinds that raise nothing: the answer hangs until the caller times out."""
MID_ANSWER = frozenset({"cut", "stall"})
"""The kinds that happen after some words."""


def failure(kind: str, *, retry_after: float | None = None, answering: bool = False) -> SwitchboardError:
    """The error for `kind`, which must be a failure that does not hang.

    `answering`: text was already sent, so every failure of the provider is an AnswerCut, as with a real provider.
    """
    error = _status(int(kind), retry_after) if kind.isdigit() else _named(kind)
    if answering and isinstance(error, AttemptError):
        return AnswerCut(f"the fake model broke off its answer: {kind}", provider_text=f"scripted failure {kind}")
    return error


def _named(kind: str) -> SwitchboardError:
    provider_text = f"scripted failure {kind}"
    match kind:
        case "reset":
            return ConnectionFailed("the fake model reset the connection", provider_text=provider_text)
        case "cut":
            return AnswerCut("the fake model broke off its answer: cut", provider_text=provider_text)
        case "html":
            return BadAnswer("the fake model answered with HTML", provider_text=provider_text, status=200)
        case "empty":
            return BadAnswer("the fake model sent an empty answer", provider_text=provider_text, status=200)
        case "error":
            return BadAnswer(
                "the fake model reported an error inside its answer", provider_text=provider_text, status=200
            )
        case "context":
            return ContextWindowExceeded()
        case "filter":
            return ContentPolicyViolation("the fake model refused the content", category="violence")
    raise ValueError(f"{kind!r} raises nothing")


def _status(status: int, retry_after: float | None) -> SwitchboardError:
    provider_text = f"scripted failure {status}"
    if status == 429:
        return RateLimited("the fake model is rate limited", retry_after=retry_after, provider_text=provider_text)
    if status in (401, 403, 404):
        return CredentialsRefused(
            f"the fake model refused the request with {status}", provider_text=provider_text, status=status
        )
    if status in (400, 422):
        return RequestRejected(
            f"the fake model rejected the request with {status}", provider_text=provider_text, status=status
        )
    return ProviderOverloaded(f"the fake model failed with {status}", provider_text=provider_text, status=status)
