"""One connection, by hand: a web framework can neither reset it before the answer nor say nothing at all."""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import cast

from router.fake.server import wire

MAX_HEAD = 64 * 1024
MAX_BODY = 16 * 1024 * 1024
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request. Header names are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


Answer = Callable[["Line", Request], Awaitable[None]]


class Line(asyncio.Protocol):
    """Reads requests one after the other and has each of them answered; a caller that hangs up cancels the answer."""

    def __init__(self, answer: Answer, open_lines: set[Line]) -> None:
        self._answer = answer
        self._open_lines = open_lines
        self._received = bytearray()
        self._continued = False
        self.task: asyncio.Task[None] | None = None

    # What answers use

    def write(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._transport.write(data)

    @property
    def closing(self) -> bool:
        """Whether this side has hung up."""
        return self._transport.is_closing()

    def close(self) -> None:
        """Hang up after what was written has gone out."""
        self._transport.close()

    def reset(self) -> None:
        """Break the connection with a TCP reset: the caller learns that something went wrong, at once."""
        line: socket.socket = self._transport.get_extra_info("socket")
        line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()

    async def silence(self) -> None:
        """Say nothing until the caller hangs up."""
        await asyncio.get_running_loop().create_future()

    # What the event loop uses

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are no subclass of asyncio's
        self._open_lines.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._open_lines.discard(self)
        if self.task is not None:
            self.task.cancel()

    def data_received(self, data: bytes) -> None:
        self._received += data
        if len(self._received) > MAX_HEAD + MAX_BODY:
            self.reset()
        else:
            self._take_up()

    def _take_up(self) -> None:
        """Begin with the next request, when it is here whole and the last one is answered."""
        if self.task is not None or self._transport.is_closing():
            return
        try:
            request = self._whole_request()
        except _Refused as refused:
            self.write(wire.response(refused.status, wire.error(str(refused), "invalid_request_error")))
            self.close()
            return
        if request is not None:
            self.task = asyncio.get_running_loop().create_task(self._serve(request))

    async def _serve(self, request: Request) -> None:
        try:
            await self._answer(self, request)
        except Exception:
            _log.exception("the fake provider failed on its own, which no model name asked for")
            self.reset()
        finally:
            self.task = None
        if request.headers.get("connection", "").lower() == "close":
            self.close()
        self._take_up()

    def _whole_request(self) -> Request | None:
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            if len(self._received) > MAX_HEAD:
                raise _Refused(413, "the head of the request is too large")
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
        return Request(method, rest.partition(" ")[0], headers, body)


class _Refused(Exception):
    """The request cannot be read."""

    def __init__(self, status: int, message: str) -> None:
        self.status = status
        super().__init__(message)


def _length(headers: Mapping[str, str]) -> int:
    if "transfer-encoding" in headers:
        raise _Refused(411, "send the body with a content-length")
    length = headers.get("content-length", "0")
    if not (length.isascii() and length.isdigit()):
        raise _Refused(400, "content-length is not a number")
    if len(length) > 9 or int(length) > MAX_BODY:
        raise _Refused(413, f"the body is larger than {MAX_BODY} bytes")
    return int(length)
