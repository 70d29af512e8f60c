"""One caller's connection: as little code as possible between the socket and the clock."""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import cast

from bench.turns import BrokenAnswer, Segments, is_whole

TURN_LIMIT = 60.0
"""Seconds after which a turn counts as lost."""


class Line(asyncio.Protocol):
    """Keeps its connection from turn to turn, as a voice platform does; opens a new one when the server closed it."""

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)
        self._transport: asyncio.Transport | None = None
        self._segments: Segments = []
        self._tail = b""
        self._chunked = False
        self._answer: asyncio.Future[Segments] | None = None

    async def exchange(self, request: bytes) -> tuple[float, Segments]:
        """Send a request; the time it was sent at and what came back. Raises BrokenAnswer when the line breaks."""
        loop = asyncio.get_running_loop()
        if self._transport is None or self._transport.is_closing():
            try:
                await loop.create_connection(lambda: self, *self._address)
            except OSError as exc:
                raise BrokenAnswer(f"no connection: {exc}") from exc
        assert self._transport is not None
        self._segments, self._tail, self._answer = [], b"", loop.create_future()
        begun = perf_counter()
        self._transport.write(request)
        try:
            async with asyncio.timeout(TURN_LIMIT):
                return begun, await self._answer
        except TimeoutError:
            self.close()
            raise BrokenAnswer(f"no whole answer within {TURN_LIMIT:g} s") from None

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are no subclass of asyncio's

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(BrokenAnswer(f"the server hung up in the answer: {exc}"))

    def data_received(self, data: bytes) -> None:
        self._segments.append((perf_counter(), data))
        self._tail = (self._tail + data)[-7:]
        if self._answer is None or self._answer.done():
            return
        if len(self._segments) == 1:
            self._chunked = b"\r\ntransfer-encoding: chunked" in data.lower()
        # Looking at everything with each piece would cost the most where the most is measured.
        if self._chunked and self._tail != b"\r\n0\r\n\r\n":
            return
        if is_whole(b"".join(piece for _, piece in self._segments)):
            self._answer.set_result(self._segments)
