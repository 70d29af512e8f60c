"""Maps LiteLLM exceptions, HTTP errors and connection failures to the exceptions of `config.errors`.

`docs/failover.md` has the table. The provider's own text goes only into `provider_text`, because the caller may see the
message.
"""

from __future__ import annotations

import json
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
    InvalidToolCall,
    ProviderOverloaded,
    ProviderTimeout,
    RateLimited,
    RequestRejected,
    SwitchboardError,
)
from router.providers.error_body import ErrorBody, redacted, retry_after
from router.providers.litellm_import import litellm

_litellm = litellm.exceptions

_REFUSALS: Final = frozenset({None, 400, 403, 404, 413, 422})
"""Statuses whose body says what is refused. None is an error inside an answer."""

Kind = Literal[
    "by status",
    "timeout",
    "unreachable",
    "context window",
    "content policy",
    "unsupported parameter",
    "credentials",
    "request",
    "bad answer",
]

LITELLM_ERRORS: Final[Mapping[type[Exception], Kind]] = {
    _litellm.AuthenticationError: "credentials",
    _litellm.PermissionDeniedError: "credentials",
    _litellm.PaymentRequiredError: "credentials",
    _litellm.NotFoundError: "credentials",
    _litellm.LiteLLMUnknownProvider: "credentials",
    _litellm.OpenAIError: "credentials",  # raised bare only when the OpenAI client is built without a key
    _litellm.ModelNotMappedError: "credentials",
    _litellm.BudgetExceededError: "credentials",
    _litellm.BadRequestError: "request",
    _litellm.InvalidRequestError: "request",
    _litellm.UnprocessableEntityError: "request",
    _litellm.RejectedRequestError: "request",
    _litellm.ImageFetchError: "request",
    _litellm.VectorStoreSearchError: "request",
    _litellm.GuardrailRaisedException: "request",
    _litellm.BlockedPiiEntityError: "request",
    _litellm.ModifyResponseException: "request",
    _litellm.SensitiveDataRouteException: "request",
    _litellm.UnsupportedParamsError: "unsupported parameter",
    _litellm.ContextWindowExceededError: "context window",
    _litellm.ContentPolicyViolationError: "content policy",
    _litellm.Timeout: "timeout",
    _litellm.RateLimitError: "by status",
    _litellm.ServiceUnavailableError: "by status",
    _litellm.BadGatewayError: "by status",
    _litellm.InternalServerError: "by status",
    _litellm.MidStreamFallbackError: "by status",
    _litellm.MockException: "by status",
    _litellm.APIError: "by status",
    _litellm.APIConnectionError: "unreachable",
    _litellm.APIResponseValidationError: "bad answer",
    _litellm.JSONSchemaValidationError: "bad answer",
}
"""The kind of every LiteLLM exception class. A test fails when LiteLLM adds a class."""


def from_litellm(error: Exception, *, response_started: bool = False, prepared: bool = True) -> SwitchboardError:
    """Map a LiteLLM exception. `response_started`: see `from_transport`.

    `prepared`: LiteLLM got as far as sending the request. Otherwise it failed on the request or the deployment itself.
    """
    original = getattr(error, "original_exception", None)
    if isinstance(original, Exception):
        return from_litellm(original, response_started=response_started, prepared=prepared)
    transport_error = next(
        (cause for cause in _causes(error) if isinstance(cause, (httpx.TransportError, ConnectionError))), None
    )
    if transport_error is not None:  # LiteLLM reports most broken connections as status 500
        return from_transport(transport_error, response_started=response_started)
    error_body = ErrorBody.parse(getattr(error, "body", None), str(error))
    status = getattr(error, "status_code", None)
    status = status if isinstance(status, int) else None
    kind = next((LITELLM_ERRORS[each] for each in type(error).__mro__ if each in LITELLM_ERRORS), "by status")
    if any(isinstance(each, ImportError) or _is_about_access(each) for each in _causes(error)):
        return _credentials(error_body, status)  # such as Vertex AI without the package google-auth
    if not prepared and kind in ("by status", "unreachable", "bad answer"):
        message = "the request cannot be prepared for the model's provider"
        return RequestRejected(message, provider_text=error_body.text, status=400)
    match kind:
        case "timeout":
            # LiteLLM also raises Timeout for HTTP 408.
            statuses = (getattr(cause, "status_code", None) for cause in _causes(error))
            status_sent = next((each for each in statuses if isinstance(each, int)), None)
            return from_status(status_sent, error_body) if status_sent else _timeout(error_body.text)
        case "unreachable" if not response_started:
            return _unreachable(error_body.text)
        case "context window":
            return ContextWindowExceeded()
        case "content policy":
            return _content_policy(error_body)
        case "unsupported parameter":
            return _unsupported(error_body)
        case "credentials":
            return _credentials(error_body, status)
        case "bad answer" | "unreachable":
            return BadAnswer("the provider's answer is invalid", provider_text=error_body.text, status=status)
        case "request":
            # Inside an answer LiteLLM reports 400 for everything that it cannot read, such as Ollama's errors.
            return from_status(None if response_started else status or 400, error_body)
        case _:
            return from_status(status, error_body, _headers(error))


def from_response(status: int, headers: Mapping[str, str], body: bytes) -> SwitchboardError:
    """Map an HTTP response other than 200. `headers` must be case-insensitive."""
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        parsed = None
    return from_status(status, ErrorBody.parse(parsed, body.decode("utf-8", "replace")), headers)


def from_event(event: Mapping[str, Any]) -> SwitchboardError:
    """Map an `error` object inside a stream or inside a response with status 200."""
    try:
        text = json.dumps(event.get("error"))  # orjson refuses half a character, or a long integer
    except RecursionError:
        text = ""
    error_body = ErrorBody.parse(event, text)
    return from_status(429 if error_body.is_rate_limit else error_body.status, error_body)


def from_transport(error: Exception, *, response_started: bool) -> AttemptError:
    """Map a connection failure. `response_started`: the response headers had already arrived."""
    text = redacted(f"{type(error).__name__}: {error}")
    if isinstance(error, httpx.DecodingError):
        return BadAnswer("the provider's answer cannot be decompressed", provider_text=text)
    if response_started:
        return AnswerCut("the connection to the provider broke in the middle of the answer", provider_text=text)
    if isinstance(error, (TimeoutError, httpx.ReadTimeout, httpx.WriteTimeout)):
        return _timeout(text)
    return _unreachable(text)


def from_status(
    status: int | None, error_body: ErrorBody, headers: Mapping[str, str] | None = None
) -> SwitchboardError:
    """Map an HTTP status and the error body that came with it. `status` is None for an error inside an answer."""
    if error_body.is_context_window and (status in _REFUSALS or status == 500):  # llama.cpp and Ollama send 500
        return ContextWindowExceeded()
    if status in _REFUSALS:
        if error_body.is_content_policy:
            return _content_policy(error_body)
        if error_body.blames_deployment:
            return _credentials(error_body, status)
        if error_body.is_invalid_tool_call:
            message = "the model called a tool in a form that its provider refuses"
            return InvalidToolCall(message, provider_text=error_body.text, status=status)
    match status:
        case 429:
            wait = retry_after(headers or {})
            wait = error_body.retry_after if wait is None else wait
            return RateLimited("the provider's rate limit is reached", retry_after=wait, provider_text=error_body.text)
        case 413 if error_body.is_rate_limit:  # Groq: one request is larger than the tokens left in this minute
            limited = RateLimited("the provider's rate limit is reached", provider_text=error_body.text, status=413)
            limited.counts = False  # the request is too large for the limit; smaller ones are not
            return limited
        case 400 | 413 | 422:
            message = f"the model's provider rejected the request (HTTP {status})"
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


def _content_policy(error_body: ErrorBody) -> ContentPolicyViolation:
    named = f" ({error_body.category})" if error_body.category else ""
    return ContentPolicyViolation(f"the model's provider refused the content{named}", category=error_body.category)


def _timeout(text: str) -> ProviderTimeout:
    return ProviderTimeout("the provider did not begin to answer in time", provider_text=text)


def _unreachable(text: str) -> ConnectionFailed:
    return ConnectionFailed(
        "the provider could not be reached, or closed the connection before it answered", provider_text=text
    )


def _credentials(error_body: ErrorBody, status: int | None) -> CredentialsRefused:
    message = "the provider refused the deployment's key, account, permissions or model name, or lacks a feature"
    return CredentialsRefused(message, provider_text=error_body.text, status=status)


def _unsupported(error_body: ErrorBody) -> RequestRejected:
    """LiteLLM names the unsupported parameters. The names came from the caller, so the message may contain them."""
    found = re.search(r"parameters: \[([\w', ]*)\]", error_body.message)
    names = found.group(1).replace("'", "") if found else "one of the request's parameters"
    message = (
        f"this model does not support {names}; set litellm_settings.drop_params: true to drop unsupported parameters"
    )
    return RequestRejected(message, provider_text=error_body.text, status=400)


def _is_about_access(error: Exception) -> bool:
    """Whether a provider's own package fails to find or refresh credentials."""
    package, name = type(error).__module__, type(error).__name__
    return package.startswith(("google.auth", "azure.identity")) or (
        package.startswith("botocore") and any(each in name for each in ("Credential", "Token", "Profile", "SSO"))
    )


def _headers(error: Exception) -> httpx.Headers:
    """The provider's response headers: on the exception, on its response, or only on its cause."""
    for each in (error, *_causes(error)):
        response = getattr(each, "response", None)
        for headers in (getattr(each, "litellm_response_headers", None), getattr(response, "headers", None)):
            if headers:
                return httpx.Headers(headers)
    return httpx.Headers()


def _causes(error: BaseException) -> Iterator[Exception]:
    """The exceptions in the cause chain of `error`, itself included, that are not LiteLLM's."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, Exception) and type(cause) not in LITELLM_ERRORS:
            yield cause
        cause = cause.__cause__ or cause.__context__
