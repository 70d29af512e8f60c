"""The fake provider's answers that are an HTTP error, always or for a while."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from router.fake.server import wire
from router.fake.server.ask import Ask

Behaviour = Callable[[Ask], Awaitable[None]]
Timed = Callable[..., Awaitable[None]]

UPSTREAM = wire.error("The server had an error while processing your request.", "server_error")
LIMITED = wire.error("Rate limit reached for requests.", "requests", "rate_limit_exceeded")


async def refuse(ask: Ask, *, status: int, error: bytes) -> None:
    ask.refuse(status, error)


async def _retry_after(ask: Ask, *, seconds: int = 1) -> None:
    """Refused until the time that the first refusal named has passed."""
    if ask.count > 1 and ask.age >= seconds:
        await ask.answer(ask.pieces())
    else:
        ask.refuse(429, LIMITED, retry_after=str(seconds))


async def _outage(ask: Ask, *, seconds: int = 1) -> None:
    if ask.age >= seconds:
        await ask.answer(ask.pieces())
    else:
        ask.refuse(503, UPSTREAM)


async def _once(ask: Ask) -> None:
    if ask.count > 1:
        await ask.answer(ask.pieces())
    else:
        ask.refuse(500, UPSTREAM)


async def _flap(ask: Ask) -> None:
    if ask.count % 2 == 0:
        await ask.answer(ask.pieces())
    else:
        ask.refuse(503, UPSTREAM)


def _refusing(status: int, message: str, code: str | None = None, param: str | None = None, **more: Any) -> Behaviour:
    return partial(refuse, status=status, error=wire.error(message, "invalid_request_error", code, param, **more))


TIMED: Mapping[str, Timed] = {"fake-429-retry-after": _retry_after, "fake-outage": _outage}
"""Those that end after some seconds, which their names may say: `fake-outage-30`."""

REFUSALS: Mapping[str, Behaviour] = {
    **TIMED,
    "fake-429": partial(refuse, status=429, error=LIMITED),
    "fake-500-once": _once,
    "fake-503": partial(refuse, status=503, error=UPSTREAM),
    "fake-flap": _flap,
    "fake-400": _refusing(400, "Invalid value for 'temperature'.", "invalid_value", "temperature"),
    "fake-401": _refusing(401, "Incorrect API key provided.", "invalid_api_key"),
    "fake-404": _refusing(404, "The model does not exist or you do not have access to it.", "model_not_found", "model"),
    "fake-context": _refusing(
        400,
        "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.",
        "context_length_exceeded",
        "messages",
    ),
    "fake-filter": _refusing(
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
