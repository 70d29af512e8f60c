"""A reverse proxy that serves another server under a path prefix, and can go away and come back on its port."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

PREFIX = "/voice/switchboard"


class PrefixProxy:
    """Relays requests below PREFIX to `upstream` without it, one for each connection. Others are a 404.

    `passes_websockets`: without it, their handshakes arrive as plain requests.
    """

    def __init__(self, upstream: str) -> None:
        self._upstream = urlsplit(upstream)
        self.passes_websockets = True
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}{PREFIX}/"

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Refuse connections and end those that are open."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            await self._relay(reader, writer)
        finally:
            self._connections.discard(task)
            writer.close()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            method, path, rest = head.split(" ", 2)
            if not path.startswith(f"{PREFIX}/"):
                writer.write(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
                return
            lines = rest.split("\r\n")
            if not (self.passes_websockets and "upgrade: websocket" in rest.lower()):
                lines = [each for each in lines if not each.lower().startswith("connection:")]
                lines.insert(1, "connection: close")
            there, back = await asyncio.open_connection(self._upstream.hostname, self._upstream.port)
            try:
                headers = "\r\n".join(lines)
                back.write(f"{method} {path.removeprefix(PREFIX)} {headers}".encode("latin-1"))
                sending = asyncio.create_task(_copy(reader, back))
                try:
                    await _copy(there, writer)
                finally:
                    sending.cancel()
            finally:
                back.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()


@asynccontextmanager
async def prefix_proxy(upstream: str) -> AsyncIterator[PrefixProxy]:
    proxy = PrefixProxy(upstream)
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.stop()
