"""The limits of `GuardedProtocol`, on real sockets and uvicorn's own server.

The protocol overrides methods of uvicorn's HttpToolsProtocol; a version of uvicorn that calls others turns this red.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest
import uvicorn
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse

from api.drain import Drain
from api.http.guarded_protocol import MAX_HEAD_BYTES, MAX_HEADERS, ConnectionGuard, GuardedProtocol, mark_authenticated

GET = b"GET / HTTP/1.1\r\nhost: x\r\n"
POST = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n"


@dataclass(slots=True)
class Guarded:
    port: int
    guard: ConnectionGuard
    server: uvicorn.Server
    connections: list[Connection] = field(default_factory=list)

    async def connect(self) -> Connection:
        connection = Connection(*await asyncio.open_connection("127.0.0.1", self.port))
        self.connections.append(connection)
        return connection

    async def aclose(self) -> None:
        for each in self.connections:
            each.writer.close()
            with suppress(ConnectionError):
                await each.writer.wait_closed()


@dataclass(slots=True)
class Connection:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self, seconds: float = 5.0) -> bytes:
        """What the server sends until it closes the connection."""
        async with asyncio.timeout(seconds):
            try:
                return await self.reader.read()
            except ConnectionResetError:
                return b""

    async def head(self) -> bytes:
        async with asyncio.timeout(5):
            return await self.reader.readuntil(b"\r\n\r\n")


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answers with the body's length. `/trusted` has a valid token, and `/slow` answers until the test ends it."""
    if scope["type"] == "lifespan":
        await receive()
        scope["state"]["guard"] = GUARDS[-1]
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    request = Request(scope, receive)
    if request.url.path == "/trusted":
        mark_authenticated(request)
    if request.url.path == "/slow":
        await StreamingResponse(_ticks())(scope, receive, send)
        return
    body = await request.body()
    await PlainTextResponse(f"{len(body)} bytes")(scope, receive, send)


async def _ticks() -> AsyncIterator[bytes]:
    for _ in range(8):
        yield b"tick\n"
        await asyncio.sleep(0.1)


GUARDS: list[ConnectionGuard] = []


@asynccontextmanager
async def guarded(
    head_timeout: float = 5.0, body_timeout: float = 5.0, most: int = 100, drain: float = 60.0
) -> AsyncIterator[Guarded]:
    guard = ConnectionGuard(head_timeout, body_timeout, most, Drain(drain, lambda: None))
    GUARDS.append(guard)
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(
        app, http=GuardedProtocol, ws="none", log_config=None, access_log=False, timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    running = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        while not server.started:
            assert not running.done()
            await asyncio.sleep(0)
        guarded = Guarded(listener.getsockname()[1], guard, server)
        try:
            yield guarded
        finally:
            await guarded.aclose()
    finally:
        server.should_exit = True
        await running
        GUARDS.pop()


def refused(answer: bytes, status: int, code: str) -> str:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status), answer
    assert b"connection: close" in head
    error = orjson.loads(body)["error"]
    assert error["code"] == code
    return str(error["message"])


async def test_a_request_is_served_and_the_connection_is_kept() -> None:
    async with guarded(head_timeout=0.2) as server:
        connection = await server.connect()
        for _ in range(2):
            await connection.send(POST + b"0123456789")
            assert b" 200 " in await connection.head()
            assert await connection.reader.readexactly(8) == b"10 bytes"
            await asyncio.sleep(0.3)  # longer than a head may take, and shorter than a connection may be idle


@pytest.mark.parametrize("piece", [GET + b"a: " + b"x" * 1000, b"GET /" + b"x" * 1000, b"\r\n" * 500])
async def test_an_endless_head_is_refused_while_it_is_sent(piece: bytes) -> None:
    async with guarded() as server:
        connection = await server.connect()
        sent = 0
        with pytest.raises(ConnectionError):
            await connection.send(piece)
            while sent < 20 * MAX_HEAD_BYTES:
                await connection.send(b"\r\n" * 5000 if piece.startswith(b"\r") else b"x" * 10_000)
                sent += 10_000
                await asyncio.sleep(0)
        assert sent < 20 * MAX_HEAD_BYTES


async def test_a_head_that_is_too_large_is_refused_with_the_limit() -> None:
    async with guarded() as server:
        connection = await server.connect()
        await connection.send(GET + b"a: " + b"x" * MAX_HEAD_BYTES + b"\r\n\r\n")
        assert str(MAX_HEAD_BYTES) in refused(await connection.answer(), 431, "head_too_large")


async def test_too_many_headers_are_refused() -> None:
    async with guarded() as server:
        connection = await server.connect()
        await connection.send(GET + b"a: b\r\n" * MAX_HEADERS + b"\r\n")
        assert str(MAX_HEADERS) in refused(await connection.answer(), 431, "head_too_large")


async def test_endless_trailers_are_refused() -> None:
    async with guarded() as server:
        connection = await server.connect()
        await connection.send(b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n")
        sent = 0
        with pytest.raises(ConnectionError):
            while sent < 20 * MAX_HEAD_BYTES:
                await connection.send(b"a: " + b"x" * 1000 + b"\r\n")
                sent += 1000
                await asyncio.sleep(0)
        assert sent < 20 * MAX_HEAD_BYTES


async def test_a_body_of_many_small_parts_is_no_head() -> None:
    async with guarded() as server:
        connection = await server.connect()
        await connection.send(b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
        for _ in range(20):
            await connection.send(b"1\r\nx\r\n" * 2000)
        await connection.send(b"0\r\n\r\n")
        await connection.head()
        assert b"40000 bytes" == await connection.reader.readexactly(11)


async def test_half_a_head_is_answered_with_a_timeout() -> None:
    async with guarded(head_timeout=0.2) as server:
        connection = await server.connect()
        await connection.send(GET)
        assert "0.2 seconds" in refused(await connection.answer(), 408, "request_timeout")


async def test_half_a_head_after_a_request_is_answered_with_a_timeout() -> None:
    async with guarded(head_timeout=0.2) as server:
        connection = await server.connect()
        await connection.send(GET + b"\r\n")
        await connection.head()
        await connection.reader.readexactly(7)
        await connection.send(GET)
        refused(await connection.answer(), 408, "request_timeout")


async def test_a_head_that_drips_is_answered_with_a_timeout() -> None:
    async with guarded(head_timeout=0.3) as server:
        connection = await server.connect()
        with pytest.raises(ConnectionError):
            await connection.send(GET)
            for _ in range(50):
                await connection.send(b"a: b\r\n")
                await asyncio.sleep(0.05)


async def test_half_a_body_is_answered_with_a_timeout() -> None:
    async with guarded(body_timeout=0.2) as server:
        connection = await server.connect()
        await connection.send(POST + b"01234")
        refused(await connection.answer(), 408, "request_timeout")


async def test_a_silent_connection_is_closed() -> None:
    async with guarded(head_timeout=0.2) as server:
        connection = await server.connect()
        assert await connection.answer() == b""


@pytest.mark.parametrize("upgrade", [b"Upgrade: h2c\r\n", b"upgrade:h2c \r\n"])
async def test_an_offer_of_http_2_is_not_taken(upgrade: bytes) -> None:
    """Java's HttpClient makes it by default, and sends the body after it."""
    head = b"POST /trusted HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nContent-Length: 17\r\nHost: x\r\n"
    offer = head + b"HTTP2-Settings: AAEAAEAA\r\n" + upgrade + b"User-Agent: Java-http-client/21\r\n\r\n"
    async with guarded() as server:
        connection = await server.connect()
        for _ in range(2):
            await connection.send(offer)
            await connection.send(b"\r\nUpgrade: h2c\r\n.")
            assert b"200 OK" in await connection.head()
            assert await connection.reader.readexactly(8) == b"17 bytes"


async def test_a_long_answer_has_no_timeout() -> None:
    async with guarded(head_timeout=0.2, body_timeout=0.2) as server:
        connection = await server.connect()
        await connection.send(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n" + GET)
        answer = await connection.answer(10)
        assert answer.count(b"tick") == 8


async def test_what_is_no_request_is_a_400_in_our_format() -> None:
    async with guarded() as server:
        connection = await server.connect()
        await connection.send(b"\x16\x03\x01 hello\r\n\r\n")
        refused(await connection.answer(), 400, "malformed_request")


async def test_the_oldest_connection_without_a_token_makes_way() -> None:
    async with guarded(most=3) as server:
        trusted = await server.connect()
        await trusted.send(b"GET /trusted HTTP/1.1\r\nhost: x\r\n\r\n")
        await trusted.head()
        silent = [await server.connect() for _ in range(10)]
        for each in silent[:7]:
            assert await each.answer() == b""
        assert server.guard.unauthenticated == 3
        newest = await server.connect()
        await newest.send(GET + b"\r\n")
        assert b" 200 " in await newest.head()
        await trusted.reader.readexactly(7)
        await trusted.send(GET + b"\r\n")
        assert b" 200 " in await trusted.head()


async def test_closed_connections_are_not_counted() -> None:
    async with guarded() as server:
        connection = await server.connect()
        await connection.send(GET + b"\r\n")
        await connection.head()
        assert server.guard.unauthenticated == 1
        connection.writer.close()
        async with asyncio.timeout(5):
            while server.guard.unauthenticated:
                await asyncio.sleep(0.01)


async def test_a_connection_whose_response_promised_to_keep_it_still_takes_a_request() -> None:
    async with guarded() as server:
        server.server.config.timeout_graceful_shutdown = 20
        connection = await server.connect()
        await connection.send(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n")
        assert b"connection: close" not in await connection.head()
        server.server.should_exit = True
        await connection.reader.readuntil(b"0\r\n\r\n")
        await connection.send(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        answer = await connection.answer()
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert b"connection: close" in answer


async def test_half_a_body_ends_with_the_drain_time() -> None:
    async with guarded(drain=0.2) as server:
        connection = await server.connect()
        await connection.send(POST + b"01234")
        await asyncio.sleep(0.1)
        server.server.should_exit = True
        refused(await connection.answer(), 503, "server_stopping")
