"""What a failed attempt leads to. Pure: the error, what was tried and what time is left go in, a decision comes out.

The table is `docs/failover.md`. Retries happen nowhere else: LiteLLM's, langchain-litellm's and the HTTP client's own
are off.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Literal

from config.errors import (
    AnswerCut,
    AttemptError,
    BadAnswer,
    ConnectionFailed,
    ContentPolicyViolation,
    ContextWindowExceeded,
    ProviderOverloaded,
    RateLimited,
    SwitchboardError,
)
from config.models.deployments import RouterSettings

BACKOFF_BASE = 0.25
BACKOFF_CAP = 2.0
"""Seconds. On a phone line a longer pause is worse than another provider."""


@dataclass(frozen=True, slots=True)
class RetryHere:
    """Try the same deployment again after `delay` seconds."""

    delay: float


@dataclass(frozen=True, slots=True)
class NextDeployment:
    """Go on to the group's next deployment, and after the last one to the fallback groups."""


@dataclass(frozen=True, slots=True)
class NextGroup:
    """Leave the group: its other deployments would fail alike. `kind` says which fallbacks may stand in."""

    kind: Literal["context_window", "content_policy"]


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The request is wrong everywhere: the caller gets the error."""


Decision = RetryHere | NextDeployment | NextGroup | GiveUp


def decide(
    error: SwitchboardError,
    *,
    retries: int,
    alternatives: bool,
    remaining: float,
    settings: RouterSettings,
    random: Random,
) -> Decision:
    """Decide what follows `error`.

    `retries`: how often this deployment was already tried again in this call. `alternatives`: whether another
    deployment or fallback is left. `remaining`: seconds until the turn's deadline.
    """
    match error:
        case ContextWindowExceeded():
            return NextGroup("context_window")
        case ContentPolicyViolation():
            return NextGroup("content_policy")
        case AttemptError():
            delay = _delay(error, retries, alternatives, settings, random)
            return NextDeployment() if delay is None or delay >= remaining else RetryHere(delay)
        case _:
            return GiveUp()


def _delay(
    error: AttemptError, retries: int, alternatives: bool, settings: RouterSettings, random: Random
) -> float | None:
    """Seconds to wait before the same deployment is tried again; None when it is not."""
    match error:
        case RateLimited(retry_after=float(after)):
            # Waiting is silence on the line, so it is only for a call that has nowhere else to go.
            worth_it = not alternatives and after <= settings.max_retry_after and retries < settings.num_retries
            return after if worth_it else None
        case RateLimited() | ProviderOverloaded():
            return _backoff(retries, settings, random) if retries < settings.num_retries else None
        case AnswerCut() if alternatives:
            return None  # a provider that broke off once is a worse bet than the next one
        case ConnectionFailed() | BadAnswer() | AnswerCut():
            return 0.0 if retries < min(1, settings.num_retries) else None
        case _:
            return None


def _backoff(retries: int, settings: RouterSettings, random: Random) -> float:
    """Exponential with full jitter (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/)."""
    return max(settings.retry_after, random.uniform(0, min(BACKOFF_CAP, BACKOFF_BASE * 2**retries)))
