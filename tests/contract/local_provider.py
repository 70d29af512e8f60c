"""A provider on 127.0.0.1: a bare socket server, since a framework cannot cut, garble or reset an answer at will."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson

EVENT_STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"

Reply = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True)
class Received:
    path: str
    headers: dict[str, str]
    body: dict[str, Any]


@dataclass
class LocalProvider:
    """Answers every request with `reply`. `requests`: what came; `hung_up`: the client closed its connection."""

    url: str
    reply: Reply
    requests: list[Received] = field(default_factory=list)
    connections: list[asyncio.StreamWriter] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    hung_up: asyncio.Event = field(default_factory=asyncio.Event)

    serving: list[asyncio.Task[None]] = field(default_factory=list)

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.serving.append(asyncio.create_task(self._serve(reader, writer)))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections.append(writer)
        try:
            while True:
                self.requests.append(await _request(reader))
                self.asked.set()
                await self.reply(writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            self.hung_up.set()
        finally:
            writer.close()


async def _request(reader: asyncio.StreamReader) -> Received:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:]) if name}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Received(head[0].split(" ")[1], headers, orjson.loads(body))


@asynccontextmanager
async def local_provider(reply: Reply) -> AsyncIterator[LocalProvider]:
    provider = LocalProvider("", reply)
    server = await asyncio.start_server(provider.accept, "127.0.0.1", 0)
    provider.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    try:
        yield provider
    finally:
        server.close()
        for serving in provider.serving:
            serving.cancel()
        await asyncio.gather(*provider.serving, return_exceptions=True)


def chunked(data: bytes) -> bytes:
    """One chunk of a chunked response."""
    return b"%x\r\n%s\r\n" % (len(data), data)


LAST_CHUNK = b"0\r\n\r\n"


def event(delta: dict[str, Any] | None = None, finish: str | None = None, **more: Any) -> bytes:
    """One `chat.completion.chunk` event."""
    choices = [{"index": 0, "delta": delta or {}, "finish_reason": finish}]
    head = {"id": "c1", "object": "chat.completion.chunk", "created": 1700000000, "model": "m"}
    return b"data: " + orjson.dumps(head | {"choices": choices} | more) + b"\n\n"


DONE = b"data: [DONE]\n\n"


def streaming(*parts: bytes, end: bool = True) -> Reply:
    """Answer with these bytes as an event stream, one chunk each; `end=False` hangs up before its end."""

    async def reply(writer: asyncio.StreamWriter) -> None:
        writer.write(EVENT_STREAM)
        for part in parts:
            writer.write(chunked(part))
        if end:
            writer.write(LAST_CHUNK)
        await writer.drain()
        if not end:
            writer.close()
            await writer.wait_closed()

    return reply


def answering(status: str, body: bytes, content_type: str = "application/json", **headers: str) -> Reply:
    """Answer with a whole body."""
    more = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    head = f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n{more}\r\n"

    async def reply(writer: asyncio.StreamWriter) -> None:
        writer.write(head.encode() + body)
        await writer.drain()

    return reply


def stalling(*parts: bytes) -> Reply:
    """Begin an event stream and then say nothing more."""

    async def reply(writer: asyncio.StreamWriter) -> None:
        if parts:
            writer.write(EVENT_STREAM + b"".join(map(chunked, parts)))
            await writer.drain()

    return reply
