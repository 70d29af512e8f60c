"""The one place where errors become HTTP: the error tree of `config.errors` to a status and an OpenAI error object."""

from __future__ import annotations

import math
from typing import Any

import orjson
from starlette.responses import Response

from config.errors import (
    AllDeploymentsFailed,
    AnswerInterrupted,
    ConfigError,
    DeadlineExceeded,
    MemoryNotFound,
    ModelNotFound,
    ModelUnavailable,
    RequestError,
    SessionError,
    SessionNotFound,
    StepLimitReached,
    StorageUnavailable,
    SwitchboardError,
    TurnCancelled,
    TurnSuperseded,
)


class Unauthorized(SwitchboardError):
    """No token, or a wrong one."""

    code = "invalid_api_key"


class BodyTooLarge(SwitchboardError):
    """The body is larger than `SWITCHBOARD_MAX_BODY_BYTES`."""

    code = "body_too_large"


class RouteNotFound(SwitchboardError):
    """There is nothing at that path."""

    code = "not_found"


class MethodNotAllowed(SwitchboardError):
    """The path exists, but not for that method."""

    code = "method_not_allowed"


class CallerGone(SwitchboardError):
    """The caller hung up; the status is for the log alone (nginx's 499)."""

    code = "caller_gone"


class InvalidBody(RequestError):
    """A field of the request is missing, unknown or wrong; `param` names it."""

    code = "invalid_field"


STATUSES: dict[type[SwitchboardError], int] = {
    Unauthorized: 401,
    RouteNotFound: 404,
    MethodNotAllowed: 405,
    BodyTooLarge: 413,
    CallerGone: 499,
    ModelNotFound: 404,
    InvalidBody: 422,
    RequestError: 400,
    SessionNotFound: 404,
    MemoryNotFound: 404,
    SessionError: 409,
    StorageUnavailable: 503,
    TurnSuperseded: 409,
    TurnCancelled: 409,
    ModelUnavailable: 503,
    AllDeploymentsFailed: 503,
    DeadlineExceeded: 504,
    AnswerInterrupted: 502,
    StepLimitReached: 502,
    ConfigError: 500,
    SwitchboardError: 500,
}
"""The status of each class; one that is not named has its nearest ancestor's."""

TYPES: dict[int, str] = {401: "authentication_error", 409: "conflict_error", 429: "rate_limit_error"}


def status_of(error: SwitchboardError) -> int:
    """The HTTP status for `error`."""
    return next(STATUSES[each] for each in type(error).__mro__ if each in STATUSES)


def error_object(error: SwitchboardError) -> dict[str, Any]:
    """`{"error": {message, type, param, code}}`, as OpenAI's clients read it. Internal errors keep their details."""
    status = status_of(error)
    kind = TYPES.get(status) or ("invalid_request_error" if status < 500 else "server_error")
    return {"error": {"message": str(error), "type": kind, "param": getattr(error, "param", None), "code": error.code}}


def error_response(error: SwitchboardError) -> Response:
    """The whole HTTP answer for an error that comes before any byte of the body."""
    status = status_of(error)
    headers = {}
    if isinstance(error, Unauthorized):
        headers["www-authenticate"] = "Bearer"
    if (after := getattr(error, "retry_after", None)) is not None:
        headers["retry-after"] = str(math.ceil(after))
    return Response(orjson.dumps(error_object(error)), status, headers, media_type="application/json")
