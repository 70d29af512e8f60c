"""Transports to MCP servers: the pipes of a child process, or streamable HTTP."""

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

from agent.tools.mcp.stderr_log import stderr_log
from config.profile.mcp_servers import HttpTransport, StdioTransport

# What mcp's transports yield; their types are private.
Streams = tuple[Any, Any]
Incoming = SessionMessage | Exception


@asynccontextmanager
async def stdio_transport(server: str, at: StdioTransport, ended: Callable[[], None]) -> AsyncIterator[Streams]:
    """Start the program, and stop it with the block. `ended` is called when it closes its standard output."""
    parameters = StdioServerParameters(
        command=at.command,
        args=list(at.args),
        env=_plain(at.env),
        cwd=at.cwd,
        encoding_error_handler="replace",  # programs also print things that are no messages
    )
    async with (
        stderr_log(server, _plain(at.env).values()) as errors,
        stdio_client(parameters, errlog=errors) as (incoming, outgoing),
    ):
        yield _EndNotifier(incoming, ended), outgoing


@asynccontextmanager
async def http_transport(at: HttpTransport, http: HttpClient) -> AsyncIterator[Streams]:
    """Connect to the address with `http`, which is closed with the block."""
    async with http, streamable_http_client(at.url, http_client=http) as streams:
        yield streams


class HttpClient(httpx2.AsyncClient):
    """Answers a request with status 502 instead of raising a network error.

    When one request raises, mcp closes the whole connection and with it all other calls. `problem` describes the
    failure of the last request; None after a success.
    """

    problem: str | None = None

    @classmethod
    async def open(cls, at: HttpTransport, connect_timeout: float) -> HttpClient:
        """A client for the address. Reads have no timeout: the tool calls have one."""
        timeout = httpx2.Timeout(connect_timeout, read=None, pool=None)
        limits = httpx2.Limits(max_connections=None)
        # In a thread, because it loads the certificates from the disk.
        return await asyncio.to_thread(cls, headers=_plain(at.headers), timeout=timeout, limits=limits)

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        try:
            response = await super().send(request, **options)
        except httpx2.TransportError as exc:
            self.problem = _description(exc)
            return httpx2.Response(502, request=request)
        status = response.status_code
        self.problem = f"it answered with HTTP status {status}" if status >= 400 else None
        return response


class _EndNotifier:
    """A stream of incoming messages that calls `ended` at its end. mcp's session does not report it."""

    def __init__(self, stream: Any, ended: Callable[[], None]) -> None:
        self._stream = stream
        self._ended = ended

    async def __aenter__(self) -> Self:
        await self._stream.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        suppressed: bool | None = await self._stream.__aexit__(kind, error, trace)
        return suppressed

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


def _description(error: httpx2.TransportError) -> str:
    match error:
        case httpx2.TimeoutException():
            return "it did not answer in time"
        case httpx2.ConnectError():
            return "it cannot be reached"
        case httpx2.NetworkError() | httpx2.RemoteProtocolError():
            return "the connection broke"
        case _:
            return f"the request could not be made ({type(error).__name__})"
