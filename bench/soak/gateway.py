"""How the callers of a soak reach the servers: one address behind a proxy, or several addresses in turn."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from time import perf_counter
from typing import Any

import aiohttp
import orjson

Json = dict[str, Any]

ANSWER_TIMEOUT = 60.0
"""Seconds after which an answer that does not end counts as lost."""

IDLE_CONNECTION = 3.0
"""Seconds; less than a server keeps an idle connection, so that no request meets one that is being closed."""

_TOKEN = re.compile(rb'"(?:content|chunk)":"[^"]')


class ConnectionCut(Exception):
    """The connection broke before the answer was complete."""


class BadGateway(ConnectionCut):
    """The proxy answered, because its server was gone."""


@dataclass(slots=True)
class Received:
    """An answer as its caller receives it. Times are those of `time.perf_counter()`.

    tokens: the arrival of each part of the body with text in it.
    """

    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    started: float = field(default_factory=perf_counter)
    raw: bytearray = field(default_factory=bytearray)
    tokens: list[float] = field(default_factory=list)

    def add(self, data: bytes) -> None:
        if _TOKEN.search(data):
            self.tokens.append(perf_counter())
        self.raw += data

    @property
    def first_token(self) -> float | None:
        """Seconds from the request to the first text."""
        return self.tokens[0] - self.started if self.tokens else None

    @property
    def gaps(self) -> list[float]:
        """Seconds between the tokens."""
        return [later - earlier for earlier, later in zip(self.tokens, self.tokens[1:], strict=False)]

    def json(self) -> Json:
        """The body as an object. Raises BadGateway if it is none: then the proxy sent it."""
        try:
            return dict(orjson.loads(bytes(self.raw)))
        except ValueError:
            raise BadGateway(f"{self.status} without JSON") from None

    def events(self) -> list[Json]:
        """The events of a stream with one JSON object a line."""
        lines = bytes(self.raw).split(b"\n")
        return [orjson.loads(line[6:]) for line in lines if line.startswith(b"data: {")]

    @property
    def error_code(self) -> str:
        """The code of an HTTP error. Raises BadGateway if the proxy sent it."""
        return str(self.json()["error"]["code"])


class Gateway:
    """`urls` are tried in turn, and again at the next if the connection is refused: nothing has been sent then."""

    def __init__(self, http: aiohttp.ClientSession, urls: Sequence[str], token: str) -> None:
        self._http, self._urls = http, urls
        self._headers = {"Authorization": f"Bearer {token}"}
        self._turns = count()

    async def read(
        self, method: str, path: str, body: Json | None = None, *, received: Received | None = None, **headers: str
    ) -> Received:
        """Send a request and read the answer into `received`. Cancel the call to hang up.

        Raises ConnectionCut, and TimeoutError after `ANSWER_TIMEOUT`.
        """
        received = received or Received()
        async with self._request(method, path, body, headers) as response:
            received.status, received.headers = response.status, response.headers
            async for data in response.content.iter_any():
                received.add(data)
        return received

    async def get(self, path: str) -> Json:
        """Read an object. Raises ConnectionCut, also for an error."""
        received = await self.read("GET", path)
        if received.status != 200:
            raise ConnectionCut(f"{received.status} {bytes(received.raw[:200])!r}")
        return received.json()

    @asynccontextmanager
    async def _request(
        self, method: str, path: str, body: Json | None, headers: Mapping[str, str]
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        named = self._headers | {name.replace("_", "-"): value for name, value in headers.items()}
        first = next(self._turns)
        for attempt in range(len(self._urls)):
            url = self._urls[(first + attempt) % len(self._urls)]
            try:
                async with self._http.request(method, url + path, json=body, headers=named) as response:
                    yield response
                    return
            except aiohttp.ClientConnectorError as exc:
                if attempt == len(self._urls) - 1:
                    raise ConnectionCut(f"refused: {exc}") from exc
            except aiohttp.ClientError as exc:
                raise ConnectionCut(f"{type(exc).__name__}: {exc}") from exc


@asynccontextmanager
async def open_gateway(urls: Sequence[str], token: str) -> AsyncIterator[Gateway]:
    """A gateway without a limit of connections."""
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=IDLE_CONNECTION)
    timeout = aiohttp.ClientTimeout(total=ANSWER_TIMEOUT)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout, json_serialize=_dumps) as http:
        yield Gateway(http, urls, token)


def _dumps(value: Any) -> str:
    return orjson.dumps(value).decode()
