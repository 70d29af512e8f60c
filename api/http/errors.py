"""Maps the error tree of `config.errors` to HTTP statuses and OpenAI error objects; Anthropic's are on its paths."""

from __future__ import annotations

import math
from typing import Any

import orjson
from starlette.responses import Response
from starlette.types import Scope

from api.http.anthropic_errors import anthropic_error_object, anthropic_status, speaks_anthropic
from api.http.rate_limit_headers import rate_limit_headers
from config.errors import (
    AllDeploymentsFailed,
    AnswerInterrupted,
    CallerRateLimited,
    ConfigError,
    ConversationNotFound,
    DeadlineExceeded,
    LeaseLost,
    MemoryDisabled,
    MemoryNotFound,
    ModelNotFound,
    ModelUnavailable,
    PersonaError,
    PersonaNotFound,
    QueueUnavailable,
    QuotaExhausted,
    RateLimitReached,
    RequestError,
    ResponseNotFound,
    ServerBusy,
    ServerStopping,
    SessionError,
    SessionNotFound,
    StepLimitReached,
    StorageUnavailable,
    SwitchboardError,
    TaskAbandoned,
    TaskNotFound,
    TokenWithdrawn,
    TurnCancelled,
    TurnSuperseded,
)


class Unauthorized(SwitchboardError):
    """The token is missing or not valid."""

    code = "invalid_api_key"


class OperatorOnly(SwitchboardError):
    """Only an operator may do this: whoever has one of SWITCHBOARD_API_TOKENS."""

    code = "operator_only"


class NotYours(SwitchboardError):
    """The caller may use this, but only the caller that made it may change it."""

    code = "not_yours"


class SignatureRefused(SwitchboardError):
    """The signature of a phone carrier is missing, wrong or too old, or the secret in its address is wrong."""

    code = "invalid_signature"


class PhoneLineOff(SwitchboardError):
    """The server has no secret with which it could verify who calls."""

    code = "phone_line_off"


class BodyTooLarge(SwitchboardError):
    """The body is larger than `SWITCHBOARD_MAX_BODY_BYTES`."""

    code = "body_too_large"


class HeadTooLarge(SwitchboardError):
    """The request line and the headers are larger than the server accepts."""

    code = "head_too_large"


class MalformedRequest(SwitchboardError):
    """The bytes are no HTTP request."""

    code = "malformed_request"


class RequestTimeout(SwitchboardError):
    """The client took too long to send its request."""

    code = "request_timeout"


class RouteNotFound(SwitchboardError):
    """No route has this path."""

    code = "not_found"


class MethodNotAllowed(SwitchboardError):
    """The path does not support this method."""

    code = "method_not_allowed"


class ClientDisconnected(SwitchboardError):
    """The client closed the connection. Its status, nginx's 499, appears only in the log."""

    code = "caller_gone"


class EditingDisabled(SwitchboardError):
    """The server does not let its files be changed over HTTP."""

    code = "editing_disabled"


class FileChanged(SwitchboardError):
    """The file has changed since the caller read it."""

    code = "file_changed"


class InvalidBody(RequestError):
    """A field of the request is missing, unknown or invalid; `param` names it."""

    code = "invalid_field"


STATUSES: dict[type[SwitchboardError], int] = {
    Unauthorized: 401,
    OperatorOnly: 403,
    NotYours: 403,
    EditingDisabled: 403,
    SignatureRefused: 403,
    PhoneLineOff: 404,
    FileChanged: 409,
    RouteNotFound: 404,
    MethodNotAllowed: 405,
    RequestTimeout: 408,
    BodyTooLarge: 413,
    HeadTooLarge: 431,
    MalformedRequest: 400,
    ClientDisconnected: 499,
    ModelNotFound: 404,
    InvalidBody: 422,
    RequestError: 400,
    SessionNotFound: 404,
    MemoryNotFound: 404,
    MemoryDisabled: 409,
    PersonaNotFound: 404,
    ConversationNotFound: 404,
    PersonaError: 409,
    ResponseNotFound: 404,
    TaskNotFound: 404,
    TaskAbandoned: 500,
    QueueUnavailable: 503,
    SessionError: 409,
    StorageUnavailable: 503,
    CallerRateLimited: 429,
    TokenWithdrawn: 401,
    QuotaExhausted: 429,
    ServerBusy: 503,
    TurnSuperseded: 409,
    TurnCancelled: 409,
    LeaseLost: 409,
    ServerStopping: 503,
    ModelUnavailable: 503,
    AllDeploymentsFailed: 503,
    RateLimitReached: 429,
    DeadlineExceeded: 504,
    AnswerInterrupted: 502,
    StepLimitReached: 502,
    ConfigError: 500,
    SwitchboardError: 500,
}
"""The status of each class; a class that is not listed has the status of its nearest base class."""

TYPES: dict[int, str] = {
    401: "authentication_error",
    403: "permission_error",
    409: "conflict_error",
    429: "rate_limit_error",
}


def status_of(error: SwitchboardError) -> int:
    """The HTTP status for `error`."""
    return status_of_class(type(error))


def status_of_class(kind: type[SwitchboardError]) -> int:
    """The HTTP status for errors of this class."""
    return next(STATUSES[each] for each in kind.__mro__ if each in STATUSES)


def type_of_status(status: int) -> str:
    """The `type` of OpenAI's error object."""
    return TYPES.get(status) or ("invalid_request_error" if status < 500 else "server_error")


def error_object(error: SwitchboardError) -> dict[str, Any]:
    """`{"error": {message, type, param, code}}`, as OpenAI's clients read it."""
    return _error_object(type(error), str(error), getattr(error, "param", None))


def stored_error_object(code: str, message: str, param: str | None) -> dict[str, Any]:
    """`error_object` of an error of which only its fields were stored."""
    return _error_object(_classes(SwitchboardError).get(code, SwitchboardError), message, param)


def _error_object(kind: type[SwitchboardError], message: str, param: str | None) -> dict[str, Any]:
    type_name = type_of_status(status_of_class(kind))
    if issubclass(kind, QuotaExhausted):
        type_name = kind.code  # as in OpenAI's API
    return {"error": {"message": message, "type": type_name, "param": param, "code": kind.code}}


def error_response(error: SwitchboardError, scope: Scope | None = None, **headers: str) -> Response:
    """The HTTP response for an error that occurs before the response has started, with further `headers`.

    `scope` is the request's: its client may read Anthropic's errors.

    Without a time to come back, a repetition cannot mend it: the turn has made all the retries that may help. Then
    `x-should-retry: false` tells OpenAI's and Anthropic's clients not to send the request again.
    """
    status, content = status_of(error), error_object(error)
    if scope is not None and speaks_anthropic(scope):
        status, content = anthropic_status(status), anthropic_error_object(error, status)
    if isinstance(error, Unauthorized):
        headers["www-authenticate"] = "Bearer"
    if (after := getattr(error, "retry_after", None)) is not None:
        headers["retry-after"] = str(math.ceil(after))
    if isinstance(error, CallerRateLimited):
        headers |= rate_limit_headers(error.standings)
    if after is None or isinstance(error, QuotaExhausted):
        headers["x-should-retry"] = "false"
    return Response(orjson.dumps(content), status, headers, media_type="application/json")


def _classes(base: type[SwitchboardError]) -> dict[str, type[SwitchboardError]]:
    """The class `base` and those below it, by code."""
    found = {base.code: base}
    for each in base.__subclasses__():
        found = {**_classes(each), **found}
    return found
