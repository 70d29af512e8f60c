"""The HTTP client of the OpenAI lane, which keeps connections to providers open.

A provider closes idle connections too, many at once when it restarts. A request that is sent at that moment breaks, and
says nothing about the provider. For a moment, further requests to it do not use what was kept.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final
from urllib.request import getproxies

import aiohttp
from aiohttp.http import RawResponseMessage
from yarl import URL

from router.lanes.decompression import ENCODINGS

KEEP_ALIVE: Final = 30.0
"""Seconds that an idle connection stays open. Providers close theirs after a minute or more."""

TRANSPORT_ERRORS: Final = (aiohttp.ClientError, OSError)

DISTRUST: Final = 1.0
"""Seconds in which requests to a provider go on new connections, after one that was kept has broken."""

_BROKEN: Final = (aiohttp.ClientOSError, aiohttp.ClientConnectionResetError, aiohttp.ServerDisconnectedError)
"""What a connection that the provider has closed raises."""


class KeptConnectionBroke(aiohttp.ClientConnectionError):
    """A connection that was kept open broke before any byte of the response."""


@dataclass(slots=True)
class _Request:
    opened_connection: bool = False


_request: ContextVar[_Request] = ContextVar("request")
"""The request of this task. aiohttp opens connections in the task that needs them, or in a child of it."""


class HttpClient:
    """The HTTP client for all providers of one process. Create it in a running event loop, and close it at its end.

    It has no connection limit, since a queued request is silence for a caller, and no timeouts, since the lane and the
    router enforce them. It uses the proxies in the environment. aiohttp costs a third of what httpx does.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._distrusted: dict[URL, float] = {}
        """By provider: until when."""
        self._kept = _session(keepalive_timeout=KEEP_ALIVE, socket_factory=_open_socket)
        self._new = _session(force_close=True)

    async def post(self, url: URL, headers: Mapping[str, str], body: bytes) -> aiohttp.ClientResponse:
        """Send a request and wait for the head of the response; release the response afterwards.

        Raises:
            KeptConnectionBroke: a connection that was kept open broke before any byte of the response.
            and others of `TRANSPORT_ERRORS`.
        """
        if self._distrusted and self._distrusts(url.origin()):
            return await self._new.post(url, headers=headers, data=body, allow_redirects=False)
        request = _Request()
        _request.set(request)
        try:
            return await self._kept.post(url, headers=headers, data=body, allow_redirects=False)
        except _BROKEN as exc:
            if request.opened_connection or isinstance(exc, aiohttp.ClientConnectorError) or _has_begun(exc):
                raise
            self._distrusted[url.origin()] = self._clock() + DISTRUST
            raise KeptConnectionBroke(f"{type(exc).__name__}: {exc}") from exc

    def _distrusts(self, provider: URL) -> bool:
        if self._distrusted.get(provider, 0.0) > self._clock():
            return True
        self._distrusted.pop(provider, None)
        return False

    async def aclose(self) -> None:
        """Close all connections."""
        await self._kept.close()
        await self._new.close()


def _session(**connector: Any) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, **connector),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"Accept-Encoding": ENCODINGS},
        timeout=aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None),
        auto_decompress=False,
        trust_env=bool(getproxies()),
    )


def _open_socket(address: aiohttp.AddrInfoType) -> socket.socket:
    # aiohttp's tracing could tell the same, at 14 us a request.
    _request.get().opened_connection = True
    family, kind, protocol, *_ = address
    return socket.socket(family, kind, protocol)


def _has_begun(error: Exception) -> bool:
    """Whether a part of the response's head had arrived. Of a connection that is reset, aiohttp does not say so."""
    return isinstance(error, aiohttp.ServerDisconnectedError) and isinstance(error.message, RawResponseMessage)
