"""The fake provider: an HTTP server with OpenAI's API, whose model names choose its behaviour."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Self

import orjson

from router.fake.server import wire
from router.fake.server.behaviours import BEHAVIOURS, behaviour_of
from router.fake.server.completion_request import CompletionRequest
from router.fake.server.connection import Connection, HttpRequest
from router.fake.server.http_errors import Behaviour
from router.fake.server.recorded_requests import RecordedRequest, RequestLog
from router.fake.timing import ResponseTiming, split_timing


class FakeProvider:
    """`async with FakeProvider() as provider:` serves until the block ends.

    Port 0 chooses a free port. `base_url` ends in /v1, as OpenAI clients expect; `log` holds the requests. Raises
    OSError when the address is in use.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self.host, self.port = host, port
        self.log = RequestLog()
        self._connections: set[Connection] = set()
        self._server: asyncio.Server | None = None

    @property
    def base_url(self) -> str:
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}/v1"

    @property
    def open_connections(self) -> int:
        """The number of open connections."""
        return len(self._connections)

    def close_idle_connections(self) -> None:
        """Close the connections without a running request, as providers do after a while."""
        for connection in list(self._connections):
            if connection.task is None:
                connection.close()

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Connection(self._serve, self._connections), self.host, self.port, backlog=1024
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        assert self._server is not None  # noqa: S101 - narrows the type
        self._server.close()
        handlers = [connection.task for connection in self._connections if connection.task is not None]
        for connection in list(self._connections):
            connection.reset()
        for handler in handlers:
            handler.cancel()
        await asyncio.gather(*handlers, return_exceptions=True)
        await self._server.wait_closed()

    async def _serve(self, connection: Connection, request: HttpRequest) -> None:
        path = request.path.partition("?")[0].removeprefix("/v1")
        match request.method, path:
            case "POST", "/chat/completions":
                await self._answer(connection, request)
            case "GET", "/models":
                entries = [{"id": name, "object": "model", "created": 0, "owned_by": "fake"} for name in BEHAVIOURS]
                connection.write(wire.response(200, orjson.dumps({"object": "list", "data": entries})))
            case "GET", "/control/log":
                connection.write(wire.response(200, orjson.dumps([record.as_json() for record in self.log])))
            case "POST", "/control/reset":
                self.log.reset()
                connection.write(wire.response(200, b'{"reset":true}'))
            case _, "/chat/completions" | "/models" | "/control/log" | "/control/reset":
                connection.write(wire.response(405, _error(f"{request.method} is not allowed for {path}")))
            case _:
                connection.write(wire.response(404, _error(f"there is nothing at {path}")))

    async def _answer(self, connection: Connection, request: HttpRequest) -> None:
        try:
            body = _parse(request.body)
            name, timing = split_timing(body["model"])
        except ValueError as exc:
            connection.write(wire.response(400, _error(str(exc))))
            return
        found = behaviour_of(name)
        if found is None:
            message = f"The model {name!r} does not exist; GET /v1/models lists those that do."
            error = wire.error(message, "invalid_request_error", "model_not_found", "model")
            connection.write(wire.response(404, error))
            return
        await self._run_behaviour(connection, body, found, timing)

    async def _run_behaviour(
        self, connection: Connection, body: dict[str, Any], found: tuple[str, Behaviour], timing: ResponseTiming
    ) -> None:
        name, behaviour = found
        record = RecordedRequest(body["model"], name, bool(body.get("stream")), len(body["messages"]), body)
        count = self.log.add(record)
        try:
            await behaviour(CompletionRequest(connection, record, timing, count, self.log.age(record.model)))
        except asyncio.CancelledError:
            record.end("caller")
            raise
        record.end("provider", whole=not connection.closing)


def _parse(raw: bytes) -> dict[str, Any]:
    body = orjson.loads(raw)
    if not isinstance(body, dict):
        raise ValueError("the body is not a JSON object")
    if not isinstance(body.get("model"), str):
        raise ValueError("'model' is missing")
    if not isinstance(body.get("messages"), list) or not body["messages"]:
        raise ValueError("'messages' is missing or empty")
    for name in ("max_tokens", "max_completion_tokens"):
        if not isinstance(body.get(name, 1), int | None):
            raise ValueError(f"{name!r} is not a whole number")
    return body


def _error(message: str) -> bytes:
    return wire.error(message, "invalid_request_error")


async def serve(host: str, port: int, on_ready: Callable[[str], None] = lambda _: None) -> None:
    """Serve until cancelled; `on_ready` gets the base URL. Raises OSError when the address is in use."""
    async with FakeProvider(host, port) as provider:
        on_ready(provider.base_url)
        await asyncio.get_running_loop().create_future()
