"""The one error tree. Nothing in it knows HTTP; `api/http/errors.py` maps it to statuses.

    SwitchboardError
    ├── ConfigError                    a file or a setting is wrong; carries every Problem found
    ├── RequestError                   the caller's request is wrong; carries `param`
    │   ├── ModelNotFound              no group, alias or wildcard has that name
    │   ├── ContextWindowExceeded      the prompt is too long for the model
    │   ├── ContentPolicyViolation     the provider refused the content; carries its category
    │   └── RequestRejected            the provider says that the request itself is wrong (400, 422)
    ├── AttemptError                   one attempt at one deployment failed; another may succeed
    │   ├── RateLimited                429; carries `retry_after`
    │   ├── ProviderOverloaded           408, 409, 5xx
    │   ├── ConnectionFailed           refused, reset before the answer, DNS, TLS
    │   ├── ProviderTimeout               no first token in time, or a stall before it
    │   ├── BadAnswer                  HTML with status 200, an empty answer, an in-band error
    │   ├── CredentialsRefused         401, 403, 404: the operator's to mend
    │   └── AnswerCut                  the stream ended, broke or stalled before its end
    ├── StorageUnavailable             the database cannot be reached just now; carries `retry_after`
    ├── SessionError                   a session is not as the caller takes it to be
    │   ├── SessionNotFound            the user has no such session, or it has expired
    │   ├── SessionExists              the user has a session of that id already
    │   ├── SessionBusy                another turn runs on it; carries `retry_after`
    │   └── SessionNotReady            its status does not allow this; carries `status`
    │       ├── ReviewPending          it waits for a person's decision
    │       └── NotPending             what was answered does not wait, or not any more
    ├── MemoryNotFound                 the user has no such memory
    └── TurnError                      what is left to tell the caller when a turn fails
        ├── ModelUnavailable           the group exists, but none of its deployments can be used
        ├── AllDeploymentsFailed       every deployment and fallback failed; carries `retry_after`
        ├── DeadlineExceeded           the turn's deadline passed
        ├── AnswerInterrupted          the answer broke after the caller had heard a part of it
        ├── TurnSuperseded             a newer request on the same session took over
        ├── TurnCancelled              somebody ended it from outside
        └── StepLimitReached           the agent called tools more often than it may

`code` is a stable word for programs; the message is for people. `AttemptError.provider_text` holds the provider's words
for the log only: they never reach a caller.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


class SwitchboardError(Exception):
    """Root of the tree. `code` is stable; `str(error)` may be shown to a caller."""

    code = "internal_error"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in a configuration file: where it is and what to do about it."""

    message: str
    file: Path | None = None
    line: int | None = None
    key: str | None = None

    def __str__(self) -> str:
        place = str(self.file) if self.file else ""
        if self.line is not None:
            place += f":{self.line}"
        return ": ".join(part for part in (place, self.key, self.message) if part)


class ConfigError(SwitchboardError):
    """A file or a setting is wrong. `problems` holds every one that was found, not just the first."""

    code = "config_error"

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


class RequestError(SwitchboardError):
    """The caller's request is wrong. `param` names the field, as in OpenAI's errors."""

    code = "invalid_request"

    def __init__(self, message: str, *, param: str | None = None) -> None:
        self.param = param
        super().__init__(message)


class ModelNotFound(RequestError):
    """No group, alias or wildcard has that name."""

    code = "model_not_found"


class ContextWindowExceeded(RequestError):
    """The prompt is too long for the model."""

    code = "context_length_exceeded"


class ContentPolicyViolation(RequestError):
    """The provider refused the content. `category` is the provider's word for why, when it gave one."""

    code = "content_policy_violation"

    def __init__(self, message: str, *, category: str | None = None) -> None:
        self.category = category
        super().__init__(message, param="messages")


class RequestRejected(RequestError):
    """The provider says that the request itself is wrong, so it is wrong everywhere."""

    code = "request_rejected"

    def __init__(self, message: str, *, provider_text: str = "", status: int | None = None) -> None:
        self.provider_text = provider_text
        self.status = status
        super().__init__(message)


class AttemptError(SwitchboardError):
    """One attempt at one deployment failed; another may succeed.

    `status` is the provider's HTTP status where there was one, `provider_text` what it said (for the log alone).
    """

    code = "attempt_failed"

    def __init__(self, message: str, *, provider_text: str = "", status: int | None = None) -> None:
        self.provider_text = provider_text
        self.status = status
        super().__init__(message)


class RateLimited(AttemptError):
    """429. `retry_after` is in seconds, None when the provider named no time."""

    code = "rate_limited"

    def __init__(
        self, message: str, *, retry_after: float | None = None, provider_text: str = "", status: int | None = 429
    ) -> None:
        self.retry_after = retry_after
        super().__init__(message, provider_text=provider_text, status=status)


class ProviderOverloaded(AttemptError):
    """408, 409 or 5xx: the provider may well answer a little later."""

    code = "provider_overloaded"


class ConnectionFailed(AttemptError):
    """The connection was refused or reset before an answer, or DNS or TLS failed."""

    code = "connection_failed"


class ProviderTimeout(AttemptError):
    """No first token in time. A silent line stays silent, so it is not tried again."""

    code = "provider_timeout"


class BadAnswer(AttemptError):
    """The provider answered with something that is no answer: HTML, nothing at all, an error inside a 200."""

    code = "bad_answer"


class CredentialsRefused(AttemptError):
    """401, 403 or 404: the key, its rights or the model's name are wrong. Only the operator can mend it."""

    code = "credentials_refused"


class AnswerCut(AttemptError):
    """The stream broke off, stalled or ended without a finish reason."""

    code = "answer_cut"


class StorageUnavailable(SwitchboardError):
    """The database cannot be reached just now, is locked or has no room. `retry_after` is in seconds."""

    code = "storage_unavailable"
    retry_after = 1.0

    def __init__(self, message: str = "The database cannot be reached just now. Try again in a moment.") -> None:
        super().__init__(message)


class SessionError(SwitchboardError):
    """A session is not as the caller takes it to be."""

    code = "session_error"


class SessionNotFound(SessionError):
    """The user has no such session, or it has expired."""

    code = "session_not_found"


class SessionExists(SessionError):
    """The user has a session of that id already."""

    code = "session_exists"


class SessionBusy(SessionError):
    """Another turn runs on the session. `retry_after` (seconds): by then it has ended, or shown that it is alive."""

    code = "session_busy"

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        self.retry_after = retry_after
        super().__init__(message)


class SessionNotReady(SessionError):
    """The session's `status` does not allow what was asked."""

    code = "session_not_ready"

    def __init__(self, message: str, *, status: str | None = None) -> None:
        self.status = status
        super().__init__(message)


class ReviewPending(SessionNotReady):
    """The session waits for a person's decision, so it takes no message."""

    code = "review_pending"


class NotPending(SessionNotReady):
    """What was answered does not wait for an answer, or not any more."""

    code = "not_pending"


class MemoryNotFound(SwitchboardError):
    """The user has no such memory."""

    code = "memory_not_found"


class TurnError(SwitchboardError):
    """A turn failed and this is what the caller is told."""

    code = "turn_failed"


class ModelUnavailable(TurnError):
    """The group exists, but none of its deployments can be used (their keys are missing)."""

    code = "model_unavailable"


class AllDeploymentsFailed(TurnError):
    """Every deployment and every fallback failed. `retry_after` (seconds) is set when a provider named a time."""

    code = "all_deployments_failed"

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        self.retry_after = retry_after
        super().__init__(message)


class DeadlineExceeded(TurnError):
    """The turn's deadline passed."""

    code = "deadline_exceeded"


class AnswerInterrupted(TurnError):
    """The answer broke after the caller had heard a part of it, and nothing could continue it."""

    code = "answer_interrupted"


class TurnSuperseded(TurnError):
    """A newer request on the same session took over."""

    code = "superseded"


class TurnCancelled(TurnError):
    """Somebody ended the turn from outside."""

    code = "cancelled"


class StepLimitReached(TurnError):
    """The agent called tools more often than one turn may."""

    code = "step_limit_reached"
