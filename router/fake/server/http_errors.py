"""Behaviours of the fake provider that answer with an HTTP error, always or for a while."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from router.fake.server import wire
from router.fake.server.completion_request import CompletionRequest

Behaviour = Callable[[CompletionRequest], Awaitable[None]]
Timed = Callable[..., Awaitable[None]]

SERVER_ERROR = wire.error("The server had an error while processing your request.", "server_error")
RATE_LIMIT_ERROR = wire.error("Rate limit reached for requests.", "requests", "rate_limit_exceeded")


async def _error(request: CompletionRequest, *, status: int, error: bytes) -> None:
    request.respond_error(status, error)


async def _retry_after(request: CompletionRequest, *, seconds: int = 1) -> None:
    """Answers 429 until the time in the first Retry-After has passed."""
    if request.count > 1 and request.age >= seconds:
        await request.answer(request.pieces())
    else:
        request.respond_error(429, RATE_LIMIT_ERROR, retry_after=str(seconds))


async def _outage(request: CompletionRequest, *, seconds: int = 1) -> None:
    if request.age >= seconds:
        await request.answer(request.pieces())
    else:
        request.respond_error(503, SERVER_ERROR)


async def _once(request: CompletionRequest) -> None:
    if request.count > 1:
        await request.answer(request.pieces())
    else:
        request.respond_error(500, SERVER_ERROR)


async def _flap(request: CompletionRequest) -> None:
    if request.count % 2 == 0:
        await request.answer(request.pieces())
    else:
        request.respond_error(503, SERVER_ERROR)


def _invalid_request(
    status: int, message: str, code: str | None = None, param: str | None = None, **more: Any
) -> Behaviour:
    return partial(_error, status=status, error=wire.error(message, "invalid_request_error", code, param, **more))


TIMED: Mapping[str, Timed] = {"fake-429-retry-after": _retry_after, "fake-outage": _outage}
"""Behaviours that end after some seconds. The name may contain the number: `fake-outage-30`."""

HTTP_ERRORS: Mapping[str, Behaviour] = {
    **TIMED,
    "fake-429": partial(_error, status=429, error=RATE_LIMIT_ERROR),
    "fake-500-once": _once,
    "fake-503": partial(_error, status=503, error=SERVER_ERROR),
    "fake-flap": _flap,
    "fake-400": _invalid_request(400, "Invalid value for 'temperature'.", "invalid_value", "temperature"),
    "fake-401": _invalid_request(401, "Incorrect API key provided.", "invalid_api_key"),
    "fake-404": _invalid_request(
        404, "The model does not exist or you do not have access to it.", "model_not_found", "model"
    ),
    "fake-context": _invalid_request(
        400,
        "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.",
        "context_length_exceeded",
        "messages",
    ),
    "fake-filter": _invalid_request(
        400,
        "Your request was rejected by the content filter.",
        "content_policy_violation",
        "messages",
        innererror={
            "code": "ResponsibleAIPolicyViolation",
            "content_filter_result": {"violence": {"filtered": True, "severity": "high"}},
        },
    ),
}
