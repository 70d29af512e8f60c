"""How an MCP server is reached: a child's pipes, or streamable HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self

import httpx2
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.message import SessionMessage
from pydantic import SecretStr

from agent.tools.mcp.child_log import child_log
from config.profile.mcp_servers import HttpTransport, StdioTransport

# What mcp's transports hand out, without the names that it keeps to itself.
Streams = tuple[Any, Any]
Incoming = SessionMessage | Exception


@asynccontextmanager
async def child(server: str, at: StdioTransport, ended: Callable[[], None]) -> AsyncIterator[Streams]:
    """Start the program, and end it with the block. `ended` is called when it closes its standard output."""
    parameters = StdioServerParameters(
        command=at.command,
        args=list(at.args),
        env=_plain(at.env),
        cwd=at.cwd,
        encoding_error_handler="replace",  # what it prints beside messages may be anything
    )
    async with (
        child_log(server, _plain(at.env).values()) as errors,
        stdio_client(parameters, errlog=errors) as (incoming, outgoing),
    ):
        yield _Watched(incoming, ended), outgoing


@asynccontextmanager
async def remote(at: HttpTransport, http: Http) -> AsyncIterator[Streams]:
    """Talk to the address through `http`, which is closed with the block."""
    async with http, streamable_http_client(at.url, http_client=http) as streams:
        yield streams


class Http(httpx2.AsyncClient):
    """A client whose requests never raise for what the network does: they answer 502 instead.

    mcp gives up a whole connection, and with it the calls of everyone else, when one request raises. `trouble` says in
    words what went wrong last; None after a request that went well.
    """

    trouble: str | None = None

    @classmethod
    async def open(cls, at: HttpTransport, connect: float) -> Http:
        """A client for that address; `connect` is in seconds. Reading has no limit of its own, calls have."""
        timeout = httpx2.Timeout(connect, read=None, pool=None)
        limits = httpx2.Limits(max_connections=None)
        # In a thread: it reads the certificates of this machine from the disk.
        return await asyncio.to_thread(cls, headers=_plain(at.headers), timeout=timeout, limits=limits)

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        try:
            response = await super().send(request, **options)
        except httpx2.TransportError as exc:
            self.trouble = _in_words(exc)
            return httpx2.Response(502, request=request)
        status = response.status_code
        self.trouble = f"it answered with HTTP status {status}" if status >= 400 else None
        return response


class _Watched:
    """A stream of incoming messages that tells when it is at its end, which mcp's session keeps to itself."""

    def __init__(self, stream: Any, ended: Callable[[], None]) -> None:
        self._stream = stream
        self._ended = ended

    async def __aenter__(self) -> Self:
        await self._stream.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        left: bool | None = await self._stream.__aexit__(kind, error, trace)
        return left

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Incoming:
        try:
            message: Incoming = await self._stream.__anext__()
        except StopAsyncIteration:
            self._ended()
            raise
        return message


def _plain(values: Mapping[str, SecretStr]) -> dict[str, str]:
    return {name: value.get_secret_value() for name, value in values.items()}


def _in_words(error: httpx2.TransportError) -> str:
    match error:
        case httpx2.TimeoutException():
            return "it did not answer in time"
        case httpx2.ConnectError():
            return "it cannot be reached"
        case httpx2.NetworkError() | httpx2.RemoteProtocolError():
            return "the connection broke"
        case _:
            return f"the request could not be made ({type(error).__name__})"
