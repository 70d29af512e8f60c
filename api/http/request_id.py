"""Adds an `x-request-id` to every response and log line: the caller's if it is valid, otherwise a new one.

The log lines also get the id of the caller's trace. Anthropic's clients look for `request-id`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from secrets import token_hex

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bind_contextvars, reset_contextvars

from api.http.anthropic_errors import speaks_anthropic

VALID = re.compile(r"[\x21-\x7e]{1,128}")

TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-((?!0{32})[0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?")
"""The W3C's header. The group is the id of the trace."""


class RequestId:
    """Pure ASGI middleware, because every chunk passes through it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        received = headers.get("x-request-id", "")
        request_id = received if VALID.fullmatch(received) else f"req_{token_hex(16)}"
        ids = {"request_id": request_id}
        if trace_id := _received_trace_id(headers):
            ids["trace_id"] = trace_id

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                sent = MutableHeaders(scope=message)
                sent["x-request-id"] = request_id
                if speaks_anthropic(scope):
                    sent["request-id"] = request_id
            await send(message)

        # structlog's context manager would iterate over all context variables.
        bound = bind_contextvars(**ids)
        try:
            await self._app(scope, receive, send_with_id)
        finally:
            reset_contextvars(**bound)


class TraceId:
    """Middleware inside of the request's span: log lines get the span's `trace_id`, also where the caller sent none."""

    def __init__(self, app: ASGIApp, trace_id: Callable[[], str | None]) -> None:
        self._app = app
        self._trace_id = trace_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        trace_id = self._trace_id() if scope["type"] == "http" else None
        bound = bind_contextvars(trace_id=trace_id) if trace_id else {}
        try:
            await self._app(scope, receive, send)
        finally:
            reset_contextvars(**bound)


def _received_trace_id(headers: Headers) -> str | None:
    traceparent = headers.get("traceparent")
    found = TRACEPARENT.fullmatch(traceparent) if traceparent else None
    return found[1] if found else None
