"""What a provider's failure means: LiteLLM's exceptions and HTTP failures become the tree in `config.errors`.

The table is `docs/failover.md`. What a provider says goes into `provider_text` alone: messages may reach a caller.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal

import httpx
import orjson

from config.errors import (
    AnswerCut,
    AttemptError,
    BadAnswer,
    ConnectionFailed,
    ContentPolicyViolation,
    ContextWindowExceeded,
    CredentialsRefused,
    ProviderOverloaded,
    ProviderTimeout,
    RateLimited,
    RequestRejected,
    SwitchboardError,
)
from router.providers.error_body import ErrorBody, retry_after, without_secrets
from router.providers.litellm_import import litellm

theirs = litellm.exceptions

Meaning = Literal[
    "by status",
    "timeout",
    "unreachable",
    "too long",
    "not allowed",
    "unsupported",
    "credentials",
    "request",
    "nonsense",
]

MEANINGS: Final[Mapping[type[Exception], Meaning]] = {
    theirs.AuthenticationError: "credentials",
    theirs.PermissionDeniedError: "credentials",
    theirs.PaymentRequiredError: "credentials",
    theirs.NotFoundError: "credentials",
    theirs.LiteLLMUnknownProvider: "credentials",
    theirs.OpenAIError: "credentials",  # raised bare only when the OpenAI client is built without a key
    theirs.ModelNotMappedError: "credentials",
    theirs.BudgetExceededError: "credentials",
    theirs.BadRequestError: "request",
    theirs.InvalidRequestError: "request",
    theirs.UnprocessableEntityError: "request",
    theirs.RejectedRequestError: "request",
    theirs.ImageFetchError: "request",
    theirs.VectorStoreSearchError: "request",
    theirs.GuardrailRaisedException: "request",
    theirs.BlockedPiiEntityError: "request",
    theirs.ModifyResponseException: "request",
    theirs.SensitiveDataRouteException: "request",
    theirs.UnsupportedParamsError: "unsupported",
    theirs.ContextWindowExceededError: "too long",
    theirs.ContentPolicyViolationError: "not allowed",
    theirs.Timeout: "timeout",
    theirs.RateLimitError: "by status",
    theirs.ServiceUnavailableError: "by status",
    theirs.BadGatewayError: "by status",
    theirs.InternalServerError: "by status",
    theirs.MidStreamFallbackError: "by status",
    theirs.MockException: "by status",
    theirs.APIError: "by status",
    theirs.APIConnectionError: "unreachable",
    theirs.APIResponseValidationError: "nonsense",
    theirs.JSONSchemaValidationError: "nonsense",
}
"""Every exception class that LiteLLM has. A test fails when it gains one that is not here."""


def from_litellm(error: Exception, *, answering: bool = False) -> SwitchboardError:
    """The error that a LiteLLM exception stands for. `answering`: see `from_transport`."""
    original = getattr(error, "original_exception", None)
    if isinstance(original, Exception):
        return from_litellm(original, answering=answering)
    broken = next(
        (cause for cause in _behind(error) if isinstance(cause, (httpx.TransportError, ConnectionError))), None
    )
    if broken is not None:  # LiteLLM makes a failure of the provider's, status 500, of most broken connections
        return from_transport(broken, answering=answering)
    error_body = ErrorBody.read(getattr(error, "body", None), str(error))
    status = getattr(error, "status_code", None)
    status = status if isinstance(status, int) else None
    match next((MEANINGS[kind] for kind in type(error).__mro__ if kind in MEANINGS), "by status"):
        case "timeout":
            # LiteLLM makes a timeout of a provider's HTTP 408 too.
            statuses = (getattr(cause, "status_code", None) for cause in _behind(error))
            answered = next((each for each in statuses if isinstance(each, int)), None)
            return from_complaint(answered, error_body) if answered else _silent(error_body.text)
        case "unreachable" if not answering:
            return _unreachable(error_body.text)
        case "too long":
            return _too_long()
        case "not allowed":
            return _not_allowed(error_body)
        case "unsupported":
            return _unsupported(error_body)
        case "credentials":
            return _credentials(error_body, status)
        case "nonsense" | "unreachable":
            return BadAnswer("the provider's answer makes no sense", provider_text=error_body.text, status=status)
        case "request":
            return from_complaint(status or 400, error_body)
        case _:
            return from_complaint(status, error_body, _headers(error))


def from_response(status: int, headers: Mapping[str, str], body: bytes) -> SwitchboardError:
    """What an HTTP answer other than 200 means. `headers` must look names up without regard to case."""
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        parsed = None
    return from_complaint(status, ErrorBody.read(parsed, body.decode("utf-8", "replace")), headers)


def from_event(event: Mapping[str, Any]) -> SwitchboardError:
    """What an `error` inside a stream, or inside an answer with status 200, means."""
    error_body = ErrorBody.read(event, orjson.dumps(event.get("error")).decode())
    return from_complaint(429 if error_body.is_rate_limit else error_body.status, error_body)


def from_transport(error: Exception, *, answering: bool) -> AttemptError:
    """What a failed connection means. `answering`: the head of the answer had already come."""
    text = without_secrets(f"{type(error).__name__}: {error}")
    if isinstance(error, httpx.DecodingError):
        return BadAnswer("the provider's answer cannot be decompressed", provider_text=text)
    if answering:
        return AnswerCut("the connection to the provider broke in the middle of the answer", provider_text=text)
    if isinstance(error, (TimeoutError, httpx.ReadTimeout, httpx.WriteTimeout)):
        return _silent(text)
    return _unreachable(text)


def from_complaint(
    status: int | None, error_body: ErrorBody, headers: Mapping[str, str] | None = None
) -> SwitchboardError:
    """The meaning of an HTTP status and of what the provider said with it. None: an error inside an answer."""
    if status in (None, 400, 403, 404, 413, 422):
        if error_body.is_too_long:
            return _too_long()
        if error_body.is_not_allowed:
            return _not_allowed(error_body)
    match status:
        case 429:
            wait = retry_after(headers or {})
            return RateLimited("the provider's rate limit is reached", retry_after=wait, provider_text=error_body.text)
        case 413 if error_body.is_rate_limit:  # Groq: one request is larger than the tokens left in this minute
            return RateLimited("the provider's rate limit is reached", provider_text=error_body.text, status=413)
        case 400 | 413 | 422:
            message = f"the model's provider says that the request is not valid (HTTP {status})"
            return RequestRejected(message, provider_text=error_body.text, status=status)
        case 401 | 402 | 403 | 404:
            return _credentials(error_body, status)
        case int() if status in (408, 409) or status >= 500:
            return ProviderOverloaded(
                f"the provider failed (HTTP {status})", provider_text=error_body.text, status=status
            )
        case _:
            said = "an error in its answer" if status is None else f"HTTP {status}"
            return BadAnswer(f"the provider answered with {said}", provider_text=error_body.text, status=status)


def _too_long() -> ContextWindowExceeded:
    return ContextWindowExceeded("the messages are longer than the model's context window", param="messages")


def _not_allowed(error_body: ErrorBody) -> ContentPolicyViolation:
    named = f" ({error_body.category})" if error_body.category else ""
    return ContentPolicyViolation(f"the model's provider refused the content{named}", category=error_body.category)


def _silent(text: str) -> ProviderTimeout:
    return ProviderTimeout("the provider did not begin to answer in time", provider_text=text)


def _unreachable(text: str) -> ConnectionFailed:
    return ConnectionFailed("the provider could not be reached, or hung up before it answered", provider_text=text)


def _credentials(error_body: ErrorBody, status: int | None) -> CredentialsRefused:
    message = "the provider refused the deployment's key, its rights or its model name"
    return CredentialsRefused(message, provider_text=error_body.text, status=status)


def _unsupported(error_body: ErrorBody) -> RequestRejected:
    """LiteLLM found parameters that the model does not take; their names are the caller's own words."""
    found = re.search(r"parameters: \[([\w', ]*)\]", error_body.message)
    names = found.group(1).replace("'", "") if found else "one of the request's parameters"
    message = f"this model does not take {names}; with litellm_settings.drop_params: true such parameters are left out"
    return RequestRejected(message, provider_text=error_body.text, status=400)


def _headers(error: Exception) -> httpx.Headers:
    """The provider's headers: LiteLLM keeps them in one place or another, depending on the provider."""
    answer = getattr(error, "response", None)
    for headers in (getattr(error, "litellm_response_headers", None), getattr(answer, "headers", None)):
        if headers:
            return httpx.Headers(headers)
    return httpx.Headers()


def _behind(error: BaseException) -> Iterator[Exception]:
    """The exceptions that `error` was made of, and itself when it is not LiteLLM's."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, Exception) and type(cause) not in MEANINGS:
            yield cause
        cause = cause.__cause__ or cause.__context__
