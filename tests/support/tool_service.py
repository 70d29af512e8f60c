"""An HTTP service for the agent's HTTP tools: it records requests and answers by their path."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import orjson


@dataclass(frozen=True, slots=True)
class Received:
    """A request. `headers` have names in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)


@dataclass
class ToolService:
    """`closed` is set when a client closes a connection on which a request hangs."""

    port: int = 0
    received: list[Received] = field(default_factory=list)
    closed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                request = await _parse(head, reader)
                self.received.append(request)
                await self._answer(request, reader, writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self, request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        match urlsplit(request.target).path:
            case "/hang":
                if not await reader.read():
                    self.closed.set()
            case "/endless":
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\n")
                while True:
                    writer.write("é".encode() * 1000)
                    await writer.drain()
            case "/redirect":
                writer.write(b"HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n")
            case "/broken":
                writer.write(_response(503, "text/plain", b"the warehouse is closed"))
            case "/picture":
                writer.write(_response(200, "image/png", b"\x89PNG"))
            case "/gzip":
                writer.write(_response(200, "text/plain", b"\x1f\x8b", "content-encoding: gzip\r\n"))
            case "/empty":
                writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
            case "/gone":
                writer.close()
            case _:
                writer.write(_response(200, "application/json", b'{"status": "shipped"}', "set-cookie: who=ann\r\n"))


def _response(status: int, kind: str, body: bytes, headers: str = "") -> bytes:
    return (
        f"HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n{headers}\r\n".encode() + body
    )


async def _parse(head: bytes, reader: asyncio.StreamReader) -> Received:
    first, *lines = head.decode("latin-1").strip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    method, target, _ = first.split(" ")
    return Received(method, target, headers, await reader.readexactly(int(headers.get("content-length", 0))))


@asynccontextmanager
async def tool_service() -> AsyncIterator[ToolService]:
    service = ToolService()
    server = await asyncio.start_server(service.handle, "127.0.0.1", 0)
    service.port = server.sockets[0].getsockname()[1]
    try:
        yield service
    finally:
        server.close()
