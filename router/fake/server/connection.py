"""A minimal HTTP server connection. Web frameworks can neither reset a connection nor leave a request unanswered."""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import cast

from router.fake.server import wire

MAX_HEADERS = 64 * 1024
MAX_BODY = 16 * 1024 * 1024
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One HTTP request. Header names are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


Handler = Callable[["Connection", HttpRequest], Awaitable[None]]


class Connection(asyncio.Protocol):
    """Reads requests and passes them to `handler`, one at a time. A disconnect cancels the running handler."""

    def __init__(self, handler: Handler, open_connections: set[Connection]) -> None:
        self._handler = handler
        self._open_connections = open_connections
        self._received = bytearray()
        self._continued = False
        self.task: asyncio.Task[None] | None = None

    # For handlers

    def write(self, data: bytes) -> None:
        """Send raw bytes."""
        self._transport.write(data)

    @property
    def closing(self) -> bool:
        """Whether the server has closed the connection."""
        return self._transport.is_closing()

    def close(self) -> None:
        """Close the connection after sending what was written."""
        self._transport.close()

    def reset(self) -> None:
        """Close the connection at once with a TCP reset."""
        sock: socket.socket = self._transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()

    async def hang(self) -> None:
        """Send nothing until the caller disconnects."""
        await asyncio.get_running_loop().create_future()

    # For the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's class is not a subclass of asyncio's
        self._open_connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._open_connections.discard(self)
        if self.task is not None:
            self.task.cancel()

    def data_received(self, data: bytes) -> None:
        self._received += data
        if len(self._received) > MAX_HEADERS + MAX_BODY:
            self.reset()
        else:
            self._start_next()

    def _start_next(self) -> None:
        """Handle the next request if it is complete and no other is being handled."""
        if self.task is not None or self._transport.is_closing():
            return
        try:
            request = self._next_request()
        except _InvalidRequest as error:
            self.write(wire.response(error.status, wire.error(str(error), "invalid_request_error")))
            self.close()
            return
        if request is not None:
            self.task = asyncio.get_running_loop().create_task(self._serve(request))

    async def _serve(self, request: HttpRequest) -> None:
        try:
            await self._handler(self, request)
        except Exception:
            _log.exception("unexpected error in the fake provider")
            self.reset()
        finally:
            self.task = None
        if request.headers.get("connection", "").lower() == "close":
            self.close()
        self._start_next()

    def _next_request(self) -> HttpRequest | None:
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            if len(self._received) > MAX_HEADERS:
                raise _InvalidRequest(413, "the request headers are too large")
            return None
        first, *lines = self._received[:end].decode("latin-1").split("\r\n")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = _length(headers)
        if len(self._received) < end + 4 + length:
            if headers.get("expect", "").lower() == "100-continue" and not self._continued:
                self._continued = True
                self.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            return None
        method, _, rest = first.partition(" ")
        body = bytes(self._received[end + 4 : end + 4 + length])
        del self._received[: end + 4 + length]
        self._continued = False
        return HttpRequest(method, rest.partition(" ")[0], headers, body)


class _InvalidRequest(Exception):
    """The request cannot be parsed."""

    def __init__(self, status: int, message: str) -> None:
        self.status = status
        super().__init__(message)


def _length(headers: Mapping[str, str]) -> int:
    if "transfer-encoding" in headers:
        raise _InvalidRequest(411, "send the body with a content-length")
    length = headers.get("content-length", "0")
    if not (length.isascii() and length.isdigit()):
        raise _InvalidRequest(400, "content-length is not a number")
    if len(length) > 9 or int(length) > MAX_BODY:
        raise _InvalidRequest(413, f"the body is larger than {MAX_BODY} bytes")
    return int(length)
