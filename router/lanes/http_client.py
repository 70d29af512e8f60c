"""The HTTP client of the OpenAI lane, which keeps connections to providers open.

A provider closes idle connections too. A request that is sent at that moment breaks, and says nothing about the
provider: it is sent once more, on a new connection.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
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

_BROKEN: Final = (aiohttp.ClientOSError, aiohttp.ClientConnectionResetError, aiohttp.ServerDisconnectedError)
"""What a connection that the provider has closed raises."""


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

    def __init__(self) -> None:
        self._kept = _session(keepalive_timeout=KEEP_ALIVE, socket_factory=_open_socket)
        self._new = _session(force_close=True)

    async def post(self, url: URL, headers: Mapping[str, str], body: bytes) -> aiohttp.ClientResponse:
        """Send a request and wait for the head of the response; release the response afterwards.

        Raises one of `TRANSPORT_ERRORS`.
        """
        request = _Request()
        _request.set(request)
        try:
            return await self._kept.post(url, headers=headers, data=body, allow_redirects=False)
        except _BROKEN as exc:
            if request.opened_connection or isinstance(exc, aiohttp.ClientConnectorError) or _has_begun(exc):
                raise
        return await self._new.post(url, headers=headers, data=body, allow_redirects=False)

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
