"""A client of Switchboard's HTTP API: JSON calls and event streams, with errors for people.

ClientError
├── ApiError          the server refused the request; carries `status`, `code` and `param`
│   └── NotServed     the server has no such route: it is older than this client
└── ConnectionLost    the server cannot be reached, or the connection broke; carries `sent`
"""

from __future__ import annotations

import ipaddress
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import quote

import httpx
import orjson

CONNECT_TIMEOUT: Final = 5.0
READ_TIMEOUT: Final = 30.0
"""Seconds. A stream is never silent for that long: the server sends comments."""

UNAVAILABLE: Final = (502, 503, 504)
"""Statuses that a proxy sends while the server is down, if the body is not one of Switchboard's errors."""


class ClientError(Exception):
    """A call failed. The message is for the user."""


class ApiError(ClientError):
    """The server refused the request. `param` names the field that is wrong, if the server says so."""

    def __init__(self, message: str, *, status: int, code: str, param: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.param = param


class NotServed(ApiError):
    """The server has no such route: it is older than this client."""


class ConnectionLost(ClientError):
    """The server cannot be reached, or the connection broke. `sent`: the server may have received the request."""

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.sent = sent


class AgentApi:
    """Calls the API at `url` with `token`."""

    def __init__(self, url: str, token: str) -> None:
        self.url = url.rstrip("/")
        self._http = httpx.Client(
            base_url=self.url,
            headers={"authorization": f"Bearer {token}"},
            timeout=httpx.Timeout(READ_TIMEOUT, connect=CONNECT_TIMEOUT),
            trust_env=not is_loopback(self.url),  # a proxy of the environment cannot reach this machine
        )

    def close(self) -> None:
        self._http.close()

    def get(self, *path: str, **query: Any) -> Any:
        """The answer to GET. Each part of the path is quoted. Raises ApiError and ConnectionLost, as all calls do."""
        return self._call("GET", path, query=query)

    def post(self, *path: str, body: Mapping[str, Any] | None = None, wait: bool = False) -> Any:
        """The answer to POST. `wait` allows the server any time to answer."""
        return self._call(
            "POST", path, body=body, timeout=httpx.Timeout(None, connect=CONNECT_TIMEOUT) if wait else None
        )

    def patch(self, *path: str, body: Mapping[str, Any]) -> Any:
        """The answer to PATCH."""
        return self._call("PATCH", path, body=body)

    def delete(self, *path: str) -> Any:
        """The answer to DELETE."""
        return self._call("DELETE", path)

    def events(
        self, method: str, *path: str, body: Mapping[str, Any] | None = None, after: str | None = None
    ) -> Generator[Mapping[str, Any], None, None]:
        """The events of a stream as they arrive. Close the generator to hang up.

        An event that the server numbers has `event_id`. `after` is the id of the last event that is known.
        """
        headers = {"last-event-id": after} if after is not None else None
        with _errors(), self._http.stream(method, _path(path), json=body, headers=headers) as response:
            if response.status_code >= 400:
                response.read()
                raise refusal(response.status_code, response.content)
            number: Mapping[str, Any] = {}
            for line in _lines(response):
                if line.startswith(b"id: "):
                    number = {"event_id": line[4:].decode()}
                elif line.startswith(b"data: "):
                    yield {**_event(line[6:]), **number}

    def _call(
        self,
        method: str,
        path: tuple[str, ...],
        *,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, Any] | None = None,
        timeout: httpx.Timeout | None = None,
    ) -> Any:
        with _errors():
            response = self._http.request(
                method, _path(path), json=body, params=query, timeout=timeout or self._http.timeout
            )
            if response.status_code >= 400:
                raise refusal(response.status_code, response.content)
            try:
                return response.json()
            except ValueError:
                raise ApiError(
                    f"{self.url} does not answer as Switchboard does. Check --url.", status=200, code="not_switchboard"
                ) from None


@contextmanager
def _errors() -> Generator[None, None, None]:
    try:
        yield
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as exc:
        raise ConnectionLost("The server cannot be reached.", sent=False) from exc
    except httpx.TransportError as exc:
        raise ConnectionLost("The connection to the server broke.", sent=True) from exc


def refusal(status: int, body: bytes) -> ClientError:
    """The error of a response with this status and body."""
    try:
        error = orjson.loads(body)["error"]
        message, code, param = str(error["message"]), str(error.get("code")), error.get("param")
    except (ValueError, KeyError, TypeError, AttributeError):
        if status in UNAVAILABLE:
            return ConnectionLost(f"The server is not available ({status}).", sent=True)
        message, code, param = f"The server answered {status}.", "unknown", None
    kind = NotServed if status == 404 and code == "not_found" else ApiError
    return kind(message, status=status, code=code, param=param)


def _lines(response: httpx.Response) -> Iterator[bytes]:
    """The lines of the body. For httpx they also end at U+2028 and its like, which stand unescaped in JSON."""
    rest = b""
    for part in response.iter_bytes():
        *lines, rest = (rest + part).split(b"\n")
        yield from lines


def _event(payload: bytes) -> Mapping[str, Any]:
    try:
        event = orjson.loads(payload)
    except orjson.JSONDecodeError:
        event = None
    if not isinstance(event, dict):
        raise ConnectionLost("The server sent an event that is not JSON.", sent=True)
    return event


def _path(parts: tuple[str, ...]) -> str:
    return "/" + "/".join(quote(part, safe="") for part in parts)


def is_loopback(url: str) -> bool:
    """Whether the URL's host is this machine."""
    host = httpx.URL(url).host
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
