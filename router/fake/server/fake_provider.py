"""The fake provider as a server: which path leads where, and its life."""

from __future__ import annotations

import asyncio
from typing import Any, Self

import orjson

from router.fake.server import wire
from router.fake.server.ask import Ask
from router.fake.server.behaviours import BEHAVIOURS, behaviour_of
from router.fake.server.line import Line, Request
from router.fake.server.recorded_requests import RecordedRequest, RequestLog
from router.fake.server.refusals import Behaviour
from router.fake.timing import ResponseTiming, split_timing


class FakeProvider:
    """`async with FakeProvider() as provider:` serves until the block ends.

    Port 0 takes a free one. `base_url` ends in /v1, as OpenAI clients want it; `log` holds what was asked. Raises
    OSError when the address is taken.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self.host, self.port = host, port
        self.log = RequestLog()
        self._lines: set[Line] = set()
        self._server: asyncio.Server | None = None

    @property
    def base_url(self) -> str:
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}/v1"

    @property
    def open_lines(self) -> int:
        """How many connections there are now."""
        return len(self._lines)

    def hang_up_on_idle(self) -> None:
        """Close the connections on which nobody waits for an answer, as providers do with idle ones."""
        for line in list(self._lines):
            if line.task is None:
                line.close()

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Line(self._serve, self._lines), self.host, self.port, backlog=1024
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        assert self._server is not None  # noqa: S101 - a narrowing for the type checker
        self._server.close()
        answers = [line.task for line in self._lines if line.task is not None]
        for line in list(self._lines):
            line.reset()
        for answer in answers:
            answer.cancel()
        await asyncio.gather(*answers, return_exceptions=True)
        await self._server.wait_closed()

    async def _serve(self, line: Line, request: Request) -> None:
        path = request.path.partition("?")[0].removeprefix("/v1")
        match request.method, path:
            case "POST", "/chat/completions":
                await self._answer(line, request)
            case "GET", "/models":
                entries = [{"id": name, "object": "model", "created": 0, "owned_by": "fake"} for name in BEHAVIOURS]
                line.write(wire.response(200, orjson.dumps({"object": "list", "data": entries})))
            case "GET", "/control/log":
                line.write(wire.response(200, orjson.dumps([record.as_json() for record in self.log])))
            case "POST", "/control/reset":
                self.log.reset()
                line.write(wire.response(200, b'{"reset":true}'))
            case _, "/chat/completions" | "/models" | "/control/log" | "/control/reset":
                line.write(wire.response(405, _wrong(f"{request.method} is not for {path}")))
            case _:
                line.write(wire.response(404, _wrong(f"there is nothing at {path}")))

    async def _answer(self, line: Line, request: Request) -> None:
        try:
            body = _read(request.body)
            name, timing = split_timing(body["model"])
        except ValueError as exc:
            line.write(wire.response(400, _wrong(str(exc))))
            return
        found = behaviour_of(name)
        if found is None:
            message = f"The model {name!r} does not exist; GET /v1/models lists those that do."
            line.write(wire.response(404, wire.error(message, "invalid_request_error", "model_not_found", "model")))
            return
        await self._behave(line, body, found, timing)

    async def _behave(
        self, line: Line, body: dict[str, Any], found: tuple[str, Behaviour], timing: ResponseTiming
    ) -> None:
        name, behaviour = found
        record = RecordedRequest(body["model"], name, bool(body.get("stream")), len(body["messages"]), body)
        count = self.log.add(record)
        try:
            await behaviour(Ask(line, record, timing, count, self.log.age(record.model)))
        except asyncio.CancelledError:
            record.end("caller")
            raise
        record.end("provider", whole=not line.closing)


def _read(raw: bytes) -> dict[str, Any]:
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


def _wrong(message: str) -> bytes:
    return wire.error(message, "invalid_request_error")


async def serve(host: str, port: int) -> None:
    """Serve until cancelled. Raises OSError when the address is taken."""
    async with FakeProvider(host, port):
        await asyncio.get_running_loop().create_future()
