"""The error tree. It is independent of HTTP; `api/http/errors.py` maps it to statuses.

    SwitchboardError
    ├── ConfigError                    a file or setting is invalid; carries every Problem
    ├── RequestError                   the caller's request is invalid; carries `param`
    │   ├── ModelNotFound              no group, alias or wildcard matches the model name
    │   ├── ContextWindowExceeded      the prompt is too long for the model
    │   ├── ContentPolicyViolation     the provider refused the content; carries `category`
    │   └── RequestRejected            one provider rejected the request as invalid (400, 413, 422)
    ├── AttemptError                   one attempt at one deployment failed; another may succeed
    │   ├── RateLimited                429; carries `retry_after`
    │   ├── ProviderOverloaded         408, 409, 5xx
    │   ├── ConnectionFailed           refused, reset before the answer, DNS, TLS
    │   │   └── StaleConnection        an idle connection broke before the answer; the retry goes on a new one
    │   ├── ProviderTimeout            no first token in time
    │   ├── BadAnswer                  HTML with status 200, an empty answer, an error inside the answer
    │   │   └── InvalidToolCall        the model called a tool in a form that its provider refuses
    │   ├── CredentialsRefused         401, 402, 403, 404, or a 400 that says the same: only the operator can fix it
    │   └── AnswerCut                  the stream broke off or stalled before it was complete
    ├── CallerRateLimited              a limit of the caller is reached; carries `retry_after`
    ├── QuotaExhausted                 the caller's budget is used up; carries `retry_after`
    ├── TokenWithdrawn                 the token with which a task was submitted is no longer valid
    ├── ServerBusy                     the server runs as many turns as it may; carries `retry_after`
    ├── StorageUnavailable             the database is temporarily unavailable; carries `retry_after`
    ├── SessionError                   the session's state does not allow the call
    │   ├── SessionNotFound            the user has no such session, or it has expired
    │   ├── SessionOfAnotherPersona    the session is with another persona, or with none
    │   ├── SessionExists              the user already has a session with this id
    │   ├── SessionBusy                another turn is running on the session; carries `retry_after`
    │   └── SessionNotReady            the session's status does not allow the call; carries `status`
    │       ├── ReviewPending          the session is waiting for a person's decision
    │       └── NotPending             nothing is waiting for this answer
    ├── MemoryNotFound                 the user has no such memory
    ├── MemoryDisabled                 agent.yaml has no long-term memory, so nobody would read one
    ├── PersonaError                   the state of a persona or conversation does not allow the call
    │   ├── PersonaNotFound            there is no such persona
    │   ├── ConversationNotFound       there is no such conversation
    │   ├── PersonaNameTaken           another persona has the name
    │   ├── PersonaInUse               the persona has conversations
    │   └── ConversationBusy           another message of the conversation is being answered; carries `retry_after`
    ├── ResponseNotFound               there is no such stored response, or it has expired
    │   └── PreviousResponseNotFound   the same, of the one that a request goes on after
    ├── TaskNotFound                   there is no such background task, or it was deleted after its time
    ├── TaskAbandoned                  a task could not be taken up again after its worker stopped
    ├── QueueUnavailable               the queue of background tasks cannot be reached; carries `retry_after`
    └── TurnError                      the turn failed
        ├── ModelUnavailable           the group exists, but none of its deployments can be used
        ├── AllDeploymentsFailed       every deployment and fallback failed; carries `retry_after`
        │   └── RateLimitReached       the same, and at least one of them for its rate limit
        ├── DeadlineExceeded           the turn's deadline passed
        ├── AnswerInterrupted          the answer broke off after the caller had received part of it
        ├── TurnSuperseded             a newer request on the same session replaced the turn
        ├── TurnCancelled              the turn was cancelled
        ├── LeaseLost                  another turn has taken the session over, or the session is gone
        ├── ServerStopping             the server stops, and the drain time has passed; carries `retry_after`
        └── StepLimitReached           the agent used up its steps

`code` is stable and meant for programs; the message is meant for people. `provider_text` holds the provider's own
message. It is for the log only and never reaches a caller.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from config.callers.standing import Limit, Standing


class SwitchboardError(Exception):
    """Something unexpected failed; the log has the traceback.

    It is the base class of all errors. `code` is stable; `str(error)` may be shown to a caller.
    """

    code = "internal_error"


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem in a configuration file or setting: where it is, what is wrong and what to do.

    `excerpt` is the line of the file with a caret below. It is for the terminal only, since the line may be private.
    """

    message: str
    file: Path | None = None
    line: int | None = None
    key: str | None = None
    excerpt: str = field(default="", repr=False)

    def __str__(self) -> str:
        place = str(self.file) if self.file else ""
        if self.line is not None:
            place += f":{self.line}"
        return ": ".join(part for part in (place, self.key, self.message) if part)


class ConfigError(SwitchboardError):
    """A file or setting is invalid. `problems` holds all that were found."""

    code = "config_error"

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


class RequestError(SwitchboardError):
    """The caller's request is invalid. `param` names the field, as in OpenAI's errors."""

    code = "invalid_request"

    def __init__(self, message: str, *, param: str | None = None) -> None:
        self.param = param
        super().__init__(message)


class ModelNotFound(RequestError):
    """No group, alias or wildcard matches the model name."""

    code = "model_not_found"


class ContextWindowExceeded(RequestError):
    """The prompt is too long for the model.

    The default message has words that LiteLLM's client knows, and raises as its own ContextWindowExceededError.
    """

    code = "context_length_exceeded"

    def __init__(
        self,
        message: str = "The messages are too long: this model's maximum context length is exceeded.",
        *,
        param: str | None = "messages",
    ) -> None:
        super().__init__(message, param=param)


class ContentPolicyViolation(RequestError):
    """The provider refused the content. `category` is the provider's reason, if it gave one."""

    code = "content_policy_violation"

    def __init__(self, message: str, *, category: str | None = None) -> None:
        self.category = category
        super().__init__(message, param="messages")


class RequestRejected(RequestError):
    """One provider rejected the request as invalid. Another may accept it; the breaker does not count it."""

    code = "request_rejected"

    def __init__(self, message: str, *, provider_text: str = "", status: int | None = None) -> None:
        self.provider_text = provider_text
        self.status = status
        super().__init__(message)


class AttemptError(SwitchboardError):
    """One attempt at one deployment failed; another may succeed.

    `status` is the provider's HTTP status, if there was one; `provider_text` is its message, for the log only. `counts`
    says whether the circuit breaker counts it.
    """

    code = "attempt_failed"
    counts = True

    def __init__(self, message: str, *, provider_text: str = "", status: int | None = None) -> None:
        self.provider_text = provider_text
        self.status = status
        super().__init__(message)


class RateLimited(AttemptError):
    """The provider returned 429. `retry_after` is in seconds; None if the provider sent none."""

    code = "rate_limited"

    def __init__(
        self, message: str, *, retry_after: float | None = None, provider_text: str = "", status: int | None = 429
    ) -> None:
        self.retry_after = retry_after
        super().__init__(message, provider_text=provider_text, status=status)


class ProviderOverloaded(AttemptError):
    """The provider returned 408, 409 or 5xx. A retry may succeed."""

    code = "provider_overloaded"


class ConnectionFailed(AttemptError):
    """The connection was refused or reset before the answer, or DNS or TLS failed."""

    code = "connection_failed"


class StaleConnection(ConnectionFailed):
    """A connection that was kept open broke before the answer: the provider was probably closing it as idle."""

    code = "stale_connection"
    counts = False


class ProviderTimeout(AttemptError):
    """No first token within `first_token_timeout`. The same deployment is not retried."""

    code = "provider_timeout"


class BadAnswer(AttemptError):
    """The provider returned 200 without a valid answer: HTML, nothing, or an error inside the answer."""

    code = "bad_answer"


class InvalidToolCall(BadAnswer):
    """The model called a tool in a form that its provider refuses (Groq). The caller's tools may be the cause."""

    code = "invalid_tool_call"
    counts = False


class CredentialsRefused(AttemptError):
    """The provider refused the key, its permissions, the account or the model name, or lacks a feature.

    Only the operator can fix it.
    """

    code = "credentials_refused"


class AnswerCut(AttemptError):
    """The stream broke off, stalled or ended without a finish reason."""

    code = "answer_cut"


class CallerRateLimited(SwitchboardError):
    """A limit of the caller in callers.yaml is reached. `retry_after` is in seconds."""

    code = "rate_limit_exceeded"  # as OpenAI's clients know it; RateLimitReached has the same

    def __init__(
        self, message: str, *, retry_after: float = 1.0, standings: Mapping[Limit, Standing] | None = None
    ) -> None:
        self.retry_after = retry_after
        self.standings = standings or {}
        super().__init__(message)


class QuotaExhausted(SwitchboardError):
    """The caller has spent its budget. `retry_after`, in seconds, is the beginning of the next month."""

    code = "insufficient_quota"

    def __init__(self, message: str, *, retry_after: float = 1.0) -> None:
        self.retry_after = retry_after
        super().__init__(message)


class TokenWithdrawn(SwitchboardError):
    """The token with which a task was submitted has expired since, or is no longer in callers.yaml."""

    code = "token_withdrawn"

    def __init__(self, message: str = "The token with which this was submitted is no longer valid.") -> None:
        super().__init__(message)


class ServerBusy(SwitchboardError):
    """The server runs as many turns as it may. `retry_after` is in seconds."""

    code = "server_busy"
    retry_after = 1.0

    def __init__(self, message: str = "The server is busy. Try again in a moment.") -> None:
        super().__init__(message)


class StorageUnavailable(SwitchboardError):
    """The database cannot be reached, is locked or is full. `retry_after` is in seconds."""

    code = "storage_unavailable"
    retry_after = 1.0

    def __init__(self, message: str = "The database is temporarily unavailable. Try again in a moment.") -> None:
        super().__init__(message)


class SessionError(SwitchboardError):
    """The session's state does not allow the call."""

    code = "session_error"


class SessionNotFound(SessionError):
    """The user has no such session, or it has expired."""

    code = "session_not_found"


class SessionOfAnotherPersona(SessionError):
    """The session is with another persona, or with none."""

    code = "session_of_another_agent"


class SessionExists(SessionError):
    """The user already has a session with this id."""

    code = "session_exists"


class SessionBusy(SessionError):
    """Another turn is running on the session. By `retry_after` (seconds) its lease is renewed or expired."""

    code = "session_busy"

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        self.retry_after = retry_after
        super().__init__(message)


class SessionNotReady(SessionError):
    """The session's `status` does not allow the call."""

    code = "session_not_ready"

    def __init__(self, message: str, *, status: str | None = None) -> None:
        self.status = status
        super().__init__(message)


class ReviewPending(SessionNotReady):
    """The session is waiting for a person's decision and accepts no message."""

    code = "review_pending"


class NotPending(SessionNotReady):
    """Nothing is waiting for this answer: it was never asked for, or it has been given."""

    code = "not_pending"


class MemoryNotFound(SwitchboardError):
    """The user has no such memory."""

    code = "memory_not_found"


class MemoryDisabled(SwitchboardError):
    """Long-term memory is off in agent.yaml."""

    code = "memory_disabled"


class PersonaError(SwitchboardError):
    """The state of a persona or conversation does not allow the call."""

    code = "agent_error"


class PersonaNotFound(PersonaError):
    """There is no such persona."""

    code = "agent_not_found"


class ConversationNotFound(PersonaError):
    """There is no such conversation."""

    code = "conversation_not_found"


class PersonaNameTaken(PersonaError):
    """Another persona has the name."""

    code = "agent_name_taken"


class PersonaInUse(PersonaError):
    """The persona has conversations, so it is not deleted."""

    code = "agent_in_use"


class ConversationBusy(PersonaError):
    """Another message of the conversation is being answered. `retry_after` is in seconds."""

    code = "conversation_busy"
    retry_after = 1.0


class ResponseNotFound(SwitchboardError):
    """The caller has no such stored response, or it has expired."""

    code = "response_not_found"


class PreviousResponseNotFound(ResponseNotFound):
    """The response that a request goes on after, or one before that, is not stored."""

    code = "previous_response_not_found"
    param = "previous_response_id"


class TaskNotFound(SwitchboardError):
    """There is no such background task, or it was deleted after its time."""

    code = "task_not_found"


class TaskAbandoned(SwitchboardError):
    """The worker of a background task stopped, and the task could not be taken up again."""

    code = "task_abandoned"


class QueueUnavailable(SwitchboardError):
    """The queue of background tasks cannot be reached. `retry_after` is in seconds."""

    code = "queue_unavailable"
    retry_after = 1.0

    def __init__(
        self, message: str = "The queue of background tasks cannot be reached. The task was not stored; try again."
    ) -> None:
        super().__init__(message)


class TurnError(SwitchboardError):
    """The turn failed. The message is shown to the caller."""

    code = "turn_failed"


class ModelUnavailable(TurnError):
    """The group exists, but none of its deployments can be used because their keys are missing."""

    code = "model_unavailable"


class AllDeploymentsFailed(TurnError):
    """Every deployment and every fallback failed. `retry_after` is in seconds; None if no provider sent one."""

    code = "all_deployments_failed"

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        self.retry_after = retry_after
        super().__init__(message)


class RateLimitReached(AllDeploymentsFailed):
    """Every deployment and every fallback failed, at least one of them because its rate limit is reached."""

    code = "rate_limit_exceeded"


class DeadlineExceeded(TurnError):
    """The turn's deadline passed."""

    code = "deadline_exceeded"


class AnswerInterrupted(TurnError):
    """The answer broke off after the caller had received part of it, and no deployment could continue it."""

    code = "answer_interrupted"


class TurnSuperseded(TurnError):
    """A newer request on the same session replaced the turn."""

    code = "superseded"


class TurnCancelled(TurnError):
    """The turn was cancelled."""

    code = "cancelled"


class LeaseLost(TurnError):
    """The turn has not renewed its lease in time, and another turn has taken the session over, or it is gone."""

    code = "lease_lost"

    def __init__(
        self, message: str = "Another turn has taken this session over, or the session was deleted or has expired."
    ) -> None:
        super().__init__(message)


class ServerStopping(TurnError):
    """The server stops, and the drain time has passed. `retry_after` is in seconds."""

    code = "server_stopping"
    retry_after = 1.0

    def __init__(self, message: str = "The server is stopping. Try again in a moment.") -> None:
        super().__init__(message)


class StepLimitReached(TurnError):
    """The agent still called tools after `max_steps` model calls."""

    code = "step_limit_reached"
