"""The failures that a fake answer can be told to have, as the errors that a real lane raises for them."""

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

SILENCE = frozenset({"silent", "stall"})
"""The kinds that raise nothing: the line stays open and nothing comes, until whoever waits has had enough."""
MID_ANSWER = frozenset({"cut", "stall"})
"""The kinds that only mean something after some words."""
NAMED = ("reset", "silent", "cut", "stall", "html", "empty", "error", "context", "filter")
_STATUSES = frozenset({400, 401, 403, 404, 408, 409, 422, 429, *range(500, 600)})


def is_failure(kind: str) -> bool:
    """Whether `kind` is one of the names above or an HTTP status that providers fail with."""
    return kind in NAMED or (kind.isascii() and kind.isdigit() and len(kind) == 3 and int(kind) in _STATUSES)


def failure(kind: str, *, retry_after: float | None = None, spoken: bool = False) -> SwitchboardError:
    """The error for `kind`, which must be a failure and no silence.

    Once words were `spoken`, whatever breaks on the provider's side is a cut answer, as it is on a real line.
    """
    error = _status(int(kind), retry_after) if kind.isdigit() else _named(kind)
    if spoken and isinstance(error, AttemptError):
        return AnswerCut(f"the fake model broke off in its answer: {kind}", provider_text=f"scripted failure {kind}")
    return error


def _named(kind: str) -> SwitchboardError:
    said = f"scripted failure {kind}"
    match kind:
        case "reset":
            return ConnectionFailed("the fake model reset the connection", provider_text=said)
        case "cut":
            return AnswerCut("the fake model broke off in its answer: cut", provider_text=said)
        case "html":
            return BadAnswer("the fake model answered with HTML", provider_text=said, status=200)
        case "empty":
            return BadAnswer("the fake model answered with nothing at all", provider_text=said, status=200)
        case "error":
            return BadAnswer("the fake model reported an error inside its answer", provider_text=said, status=200)
        case "context":
            return ContextWindowExceeded("the messages are too long for the fake model", param="messages")
        case "filter":
            return ContentPolicyViolation("the fake model refused the content", category="violence")
    raise ValueError(f"{kind!r} raises nothing")


def _status(status: int, retry_after: float | None) -> SwitchboardError:
    said = f"scripted failure {status}"
    if status == 429:
        return RateLimited("the fake model is rate limited", retry_after=retry_after, provider_text=said)
    if status in (401, 403, 404):
        return CredentialsRefused(
            f"the fake model refused the request with {status}", provider_text=said, status=status
        )
    if status in (400, 422):
        return RequestRejected(f"the fake model rejected the request with {status}", provider_text=said, status=status)
    return ProviderOverloaded(f"the fake model failed with {status}", provider_text=said, status=status)
