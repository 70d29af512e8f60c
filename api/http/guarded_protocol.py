"""uvicorn's httptools protocol with limits for clients that send too much, too slowly, or nothing.

Of these, uvicorn limits only the time between two requests; its h11 protocol also limits the head. Everything here
happens before the application sees the request, except `mark_authenticated`.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

import orjson
from starlette.requests import HTTPConnection
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from api.drain import Drain
from api.http.errors import HeadTooLarge, MalformedRequest, RequestTimeout, error_object, status_of
from api.http.security_headers import HEADERS
from config.errors import ServerStopping, SwitchboardError

MAX_HEAD_BYTES: Final = 64 * 1024
"""The request line and the headers. Also the limit of everything between two parts of a body, such as trailers."""

MAX_HEADERS: Final = 100

HEAD_LIMITS: Final = f"The request's head must have at most {MAX_HEAD_BYTES} bytes and {MAX_HEADERS} headers."

OFFER_OF_HTTP_2: Final = re.compile(rb"\r\nupgrade:[ \t]*h2c[ \t]*(?=\r\n)", re.IGNORECASE)
"""A header that Java's HttpClient sends by default, to be ignored; uvicorn's parser skips the body after it."""

LINGER: Final = 1.0
"""Seconds in which a connection that is idle while the server stops may still send a request.

A proxy sends requests on idle connections until it learns that they are closed. What it has sent then is lost, because
it does not send a POST twice.
"""

EXTENSION: Final = "switchboard.connection"
"""The ASGI extension through which the application reports that a connection has sent a valid token."""


@dataclass(slots=True)
class ConnectionGuard:
    """The limits that the connections of one process share. Times are in seconds.

    At most `max_unauthenticated` connections without a valid token stay open: a further one closes the oldest. So a
    client with a token can always connect.
    """

    head_timeout: float
    body_timeout: float
    max_unauthenticated: int
    drain: Drain
    _unauthenticated: dict[GuardedProtocol, None] = field(default_factory=dict, init=False)

    @property
    def unauthenticated(self) -> int:
        """The number of open connections that have not sent a valid token."""
        return len(self._unauthenticated)

    def opened(self, connection: GuardedProtocol) -> None:
        self._unauthenticated[connection] = None
        if len(self._unauthenticated) > self.max_unauthenticated:
            oldest = next(iter(self._unauthenticated))
            del self._unauthenticated[oldest]
            oldest.transport.abort()

    def no_longer_unauthenticated(self, connection: GuardedProtocol) -> None:
        """The connection has sent a valid token, or is closed."""
        self._unauthenticated.pop(connection, None)


def mark_authenticated(request: HTTPConnection) -> None:
    """Tell the connection that it has sent a valid token. Without a GuardedProtocol, nothing happens."""
    if connection := request.scope.get("extensions", {}).get(EXTENSION):
        connection["authenticated"]()


class GuardedProtocol(HttpToolsProtocol):
    """One connection. Its ConnectionGuard is `guard` in the state of the application's lifespan.

    A head must be complete within `head_timeout`, and a body within `body_timeout` after its head. A request that
    breaks a limit is answered, if no answer has begun, and the connection is closed.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._guard: ConnectionGuard = self.app_state["guard"]
        self._refusal: SwitchboardError | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._has_begun = False
        self._in_body = False
        self._is_complete = False
        self._progressed = False
        self._without_progress = 0
        """Bytes received since the last part of a body, or since the connection or the message before."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._guard.opened(self)
        self._start_timer()
        if self._guard.drain.has_begun:  # it was accepted just before the server stopped to listen
            self.shutdown()

    def connection_lost(self, exc: Exception | None) -> None:
        self._guard.no_longer_unauthenticated(self)
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._is_complete = self._progressed = False
        if not self._in_body and b"h2c" in data:
            head, end, rest = data.partition(b"\r\n\r\n")
            data = OFFER_OF_HTTP_2.sub(b"", head + end[:2]) + end[2:] + rest
        super().data_received(data)
        if self.transport.is_closing():
            return
        self._without_progress = 0 if self._progressed else self._without_progress + len(data)
        if self._without_progress > MAX_HEAD_BYTES:
            self._refuse(HeadTooLarge(HEAD_LIMITS))
        elif not self._is_complete and self._timer is None:
            self._start_timer()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._is_complete, self._has_begun = False, True
        self.scope["extensions"] = {EXTENSION: {"authenticated": self._on_authenticated}}

    def on_headers_complete(self) -> None:
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > MAX_HEAD_BYTES or len(self.headers) > MAX_HEADERS:
            self._refusal = HeadTooLarge(HEAD_LIMITS)
            raise self._refusal  # the parser stops, and `send_400_response` follows
        self._stop_timer()
        self._in_body = self._progressed = True
        super().on_headers_complete()
        if self._guard.drain.has_begun:
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        self._progressed = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._stop_timer()
        self._is_complete = self._progressed = True
        self._has_begun = self._in_body = False
        super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        """From here on uvicorn's WebSocket protocol has the connection; the application checks its token at once."""
        self._stop_timer()
        self._guard.no_longer_unauthenticated(self)
        super().handle_websocket_upgrade()

    def send_400_response(self, msg: str) -> None:
        self._refuse(self._refusal or MalformedRequest(msg))

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._guard.drain.has_begun and not self.transport.is_closing():
            self.loop.call_later(LINGER, self._close_if_idle)

    def shutdown(self) -> None:
        self._guard.drain.begin(self._on_drained)
        if not self._is_responding:
            self.loop.call_later(LINGER, self._close_if_idle)
        elif not self.cycle.response_started:
            super().shutdown()  # the response says that the connection is not kept; one that has begun cannot any more

    def _close_if_idle(self) -> None:
        if not self._is_responding:
            self.transport.close()

    @property
    def _timeout(self) -> float:
        return self._guard.body_timeout if self._in_body else self._guard.head_timeout

    @property
    def _is_responding(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _on_authenticated(self) -> None:
        self._guard.no_longer_unauthenticated(self)

    def _start_timer(self) -> None:
        self._timer = self.loop.call_later(self._timeout, self._on_timeout)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _on_timeout(self) -> None:
        self._timer = None
        if self.flow.read_paused or (self._is_responding and not self._in_body):
            self._start_timer()  # the request waits for the response to the one before
        elif self._has_begun:
            self._refuse(RequestTimeout(f"The request did not arrive within {self._timeout:g} seconds."))
        else:
            self.transport.close()

    def _on_drained(self) -> None:
        if self._in_body and not self.transport.is_closing():
            self._refuse(ServerStopping())

    def _refuse(self, error: SwitchboardError) -> None:
        """Answer with `error`, unless an answer has begun, and close the connection."""
        self._stop_timer()
        if not (self._is_responding and self.cycle.response_started):
            self.transport.write(_response(error))
        self.transport.close()


def _response(error: SwitchboardError) -> bytes:
    status, body = HTTPStatus(status_of(error)), orjson.dumps(error_object(error))
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\nconnection: close\r\n"
    )
    security = "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items())
    return f"{head}{security}\r\n".encode() + body
