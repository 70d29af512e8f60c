"""Decides what follows a failed attempt: a retry, the next deployment, other fallbacks, or an error. Pure functions.

`docs/failover.md` has the table. This is the only place for retries: those of LiteLLM, langchain-litellm and the HTTP
client are off.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
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
    RequestRejected,
    StaleConnection,
    SwitchboardError,
)
from config.models.deployments import RouterSettings
from router.error_classes import retries_in_policy

BACKOFF_BASE = 0.25
BACKOFF_CAP = 2.0
"""Seconds. On a phone call, a longer pause is worse than a change of provider."""


@dataclass(frozen=True, slots=True)
class RetryHere:
    """Retry the same deployment after `delay` seconds."""

    delay: float


@dataclass(frozen=True, slots=True)
class NextDeployment:
    """Try the next deployment of the group, or of its fallbacks."""


@dataclass(frozen=True, slots=True)
class NextGroup:
    """Skip the rest of the group, which would fail too, and try its fallbacks of this `kind`."""

    kind: Literal["context_window", "content_policy"]


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Raise the error: our own checks refuse the request, whichever provider would get it."""


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

    `retries`: how often this model call has already retried the deployment. `alternatives`: whether another deployment
    or fallback can be tried. `remaining`: seconds until the turn's deadline.
    """
    allowed = retries_in_policy(error, settings)
    if allowed is not None:
        settings = replace(settings, num_retries=allowed)
        pause = _backoff(retries, settings, random)
        # A cut answer and a wait that the provider asks for keep their own rules: both can cost the caller silence.
        if retries < allowed and pause < remaining and not _has_own_rules(error):
            return RetryHere(pause)
    match error:
        case ContextWindowExceeded():
            return NextGroup("context_window")
        case ContentPolicyViolation():
            return NextGroup("content_policy")
        case RequestRejected():
            return NextDeployment()
        case AttemptError():
            delay = _delay(error, retries, alternatives, settings, random)
            return NextDeployment() if delay is None or delay >= remaining else RetryHere(delay)
        case _:
            return GiveUp()


def _delay(
    error: AttemptError, retries: int, alternatives: bool, settings: RouterSettings, random: Random
) -> float | None:
    """Seconds to wait before a retry of the same deployment; None for no retry."""
    match error:
        case RateLimited(retry_after=float(after)):
            # Waiting is silence for the caller, so only wait when there is no alternative.
            may_wait = not alternatives and after <= settings.max_retry_after and retries < settings.num_retries
            return after if may_wait else None
        case RateLimited() | ProviderOverloaded():
            return _backoff(retries, settings, random) if retries < settings.num_retries else None
        case AnswerCut() if alternatives:
            return None  # it is more likely to fail again than another deployment
        case StaleConnection():
            return 0.0 if retries == 0 else None  # the retry goes on a new connection
        case ConnectionFailed() | BadAnswer() | AnswerCut():
            return 0.0 if retries < min(1, settings.num_retries) else None
        case _:
            return None


def _has_own_rules(error: SwitchboardError) -> bool:
    return isinstance(error, AnswerCut) or (isinstance(error, RateLimited) and error.retry_after is not None)


def _backoff(retries: int, settings: RouterSettings, random: Random) -> float:
    """Exponential with full jitter (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/)."""
    return max(settings.retry_after, random.uniform(0, min(BACKOFF_CAP, BACKOFF_BASE * 2**retries)))
