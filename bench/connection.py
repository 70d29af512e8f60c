"""A minimal HTTP client connection with precise arrival times."""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import cast

from bench.responses import BrokenAnswer, Segments, is_complete

TURN_TIMEOUT = 60.0
"""Seconds."""


class Connection(asyncio.Protocol):
    """A keep-alive connection of one caller; reconnects after the server has closed it."""

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)
        self._transport: asyncio.Transport | None = None
        self._segments: Segments = []
        self._tail = b""
        self._chunked = False
        self._answer: asyncio.Future[Segments] | None = None

    async def send(self, request: bytes) -> tuple[float, Segments]:
        """Send a request; return the time it was sent and the response.

        Raises BrokenAnswer if the connection fails or the response is incomplete after `TURN_TIMEOUT`.
        """
        loop = asyncio.get_running_loop()
        if self._transport is None or self._transport.is_closing():
            try:
                await loop.create_connection(lambda: self, *self._address)
            except OSError as exc:
                raise BrokenAnswer(f"no connection: {exc}") from exc
        assert self._transport is not None
        self._segments, self._tail, self._answer = [], b"", loop.create_future()
        start = perf_counter()
        self._transport.write(request)
        try:
            async with asyncio.timeout(TURN_TIMEOUT):
                return start, await self._answer
        except TimeoutError:
            self.close()
            raise BrokenAnswer(f"no complete response within {TURN_TIMEOUT:g} s") from None

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's class does not inherit from asyncio's

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(BrokenAnswer(f"the server closed the connection during the response: {exc}"))

    def data_received(self, data: bytes) -> None:
        self._segments.append((perf_counter(), data))
        self._tail = (self._tail + data)[-7:]
        if self._answer is None or self._answer.done():
            return
        if len(self._segments) == 1:
            self._chunked = b"\r\ntransfer-encoding: chunked" in data.lower()
        # Parse the whole response only once it may be complete: long streams would be parsed again with every segment.
        if self._chunked and self._tail != b"\r\n0\r\n\r\n":
            return
        if is_complete(b"".join(piece for _, piece in self._segments)):
            self._answer.set_result(self._segments)
