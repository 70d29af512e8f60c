"""`wss://HOST/v1/responses`: responses one after another on one connection, which stays warm between them."""

from __future__ import annotations

import asyncio
import re
from contextlib import aclosing, suppress
from secrets import token_hex
from typing import Any, Final

import orjson
import structlog
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect
from structlog.contextvars import bind_contextvars

from agent.callers.limits import admitted
from agent.turns import TurnService
from api.http.auth import authenticated_caller
from api.http.body import json_object, validate_body
from api.http.errors import RouteNotFound, Unauthorized, error_object, error_response, status_of
from api.http.guarded_websocket import SERVICE_RESTART
from api.responses.create_message import CreateMessage
from api.responses.encode import ResponseEvent
from api.responses.response_object import Object
from api.responses.stored_items import Conversation, Unstored
from api.responses.turn import ResponseTurn, begin, without_turn
from config.errors import RequestError, SwitchboardError
from config.settings import Settings

log = structlog.get_logger(__name__)

CREATE: Final = "response.create"

MAX_WAITING: Final = 4
"""Messages that wait on one connection for the response that runs."""

LOGGED_TYPE: Final = re.compile(r"[a-z_.]{1,64}")


async def respond(websocket: WebSocket) -> None:
    """Serve one connection. The token is in the headers of its handshake, as for a POST."""
    try:
        caller = authenticated_caller(websocket)
    except Unauthorized as error:
        await websocket.send_denial_response(error_response(error))
        return
    await websocket.accept()
    await _Connection(websocket, caller).serve()


async def not_here(websocket: WebSocket) -> None:
    """Refuse a WebSocket at any other path."""
    error = RouteNotFound(f"There is no WebSocket at {websocket.url.path}; /v1/responses and /phone/* have one.")
    await websocket.send_denial_response(error_response(error))


routes = [
    WebSocketRoute("/v1/responses", respond),
    WebSocketRoute("/responses", respond),
    WebSocketRoute("/{path:path}", not_here),
]


class _Connection:
    """Reads all the time, so that a hang-up is noticed; answers one message after the other."""

    def __init__(self, websocket: WebSocket, caller: str) -> None:
        self._websocket = websocket
        self._caller = caller
        self._waiting: asyncio.Queue[CreateMessage] = asyncio.Queue(MAX_WAITING)
        self._sessions: list[str | None] = []
        """Of the waiting messages, in order."""
        self._running: ResponseTurn | None = None
        self._unstored: Unstored | None = None
        """The newest response with `store: false`, which the next one may go on after."""
        self._has_ignored = False

    async def serve(self) -> None:
        """Serve until the client hangs up, or the server stops and the waiting messages are answered."""
        reading, answering = asyncio.create_task(self._read()), asyncio.create_task(self._answer())
        try:
            await asyncio.wait([reading, answering], return_when=asyncio.FIRST_COMPLETED)
            if reading.done() and reading.result() == SERVICE_RESTART:
                finished = asyncio.create_task(self._waiting.join())
                await asyncio.wait([finished, answering], return_when=asyncio.FIRST_COMPLETED)
                finished.cancel()
                await self._websocket.close(SERVICE_RESTART)
        except WebSocketDisconnect:
            pass  # the client hung up while the last response was sent
        finally:
            reading.cancel()
            answering.cancel()
            await asyncio.gather(reading, answering, return_exceptions=True)
        if answering.done() and not answering.cancelled():
            with suppress(WebSocketDisconnect):
                answering.result()

    async def _read(self) -> int:
        """Read messages until the connection ends; returns its close code."""
        while True:
            message = await self._websocket.receive()
            if message["type"] == "websocket.disconnect":
                return int(message.get("code", 1005))
            try:
                self._accept(message.get("text") or message.get("bytes") or "")
            except SwitchboardError as error:
                await self._send_error(error)

    def _accept(self, message: str | bytes) -> None:
        """Let a message wait for its turn. Raises RequestError."""
        event = json_object(message.encode() if isinstance(message, str) else message, "The message")
        if (kind := event.pop("type", None)) != CREATE:
            self._ignore(kind)
            return
        body = validate_body(CreateMessage, event)
        if body.background:
            problem = "A WebSocket has no responses in the background. Send POST /v1/responses instead."
            raise RequestError(problem, param="background")
        if self._waiting.full():
            raise RequestError(f"At most {MAX_WAITING} responses can wait on a connection.")
        session = body.session(self._websocket.headers)
        if session is not None and (running := self._running) is not None and running.session_id == session:
            running.turn.supersede()
        self._sessions.append(session)
        self._waiting.put_nowait(body)

    def _ignore(self, kind: Any) -> None:
        if not self._has_ignored:
            named = kind if isinstance(kind, str) and LOGGED_TYPE.fullmatch(kind) else None
            log.info("websocket_message_ignored", type=named, known=CREATE, further="not logged")
        self._has_ignored = True

    async def _answer(self) -> None:
        while True:
            body = await self._waiting.get()
            session = self._sessions.pop(0)
            bind_contextvars(request_id=f"req_{token_hex(16)}")
            try:
                async with admitted(self._websocket.state.limits, self._caller):
                    await self._respond(body, session)
            except SwitchboardError as error:
                await self._send_error(error)
            finally:
                self._running = None
                self._waiting.task_done()

    async def _respond(self, body: CreateMessage, session: str | None) -> None:
        turns: TurnService = self._websocket.state.turns
        turns.statistics.count_request(self._caller)
        if not body.generate:
            encoder, said = await without_turn(self._websocket, self._caller, body, self._unstored)
            await self._send(await encoder.unsaid())
            self._remember(body, said, encoder.response)
            return
        response = self._running = await begin(self._websocket, self._caller, body, self._unstored)
        if session is not None and session in self._sessions:
            response.turn.supersede()  # a newer message of the session came while this one waited
        encoder = response.encoder
        try:
            async with aclosing(encoder.stream(response.events)) as stream:
                async for together in stream:
                    await self._send(together)
            self._remember(body, response.said, encoder.response)
        except SwitchboardError as error:
            if not encoder.has_begun:
                raise
            await self._send(encoder.failed(error))

    def _remember(self, body: CreateMessage, said: Conversation, response: Object) -> None:
        """Remember a response that nobody else does; not a longer conversation than a request could bring."""
        if body.store is False:
            items = [*said.earlier, *said.items, *response["output"]]
            settings: Settings = self._websocket.state.settings
            fits = len(orjson.dumps(items)) <= settings.max_body_bytes
            self._unstored = Unstored(response["id"], items) if fits else None

    async def _send(self, events: list[ResponseEvent]) -> None:
        for each in events:
            await self._websocket.send_text(each.json.decode())

    async def _send_error(self, error: SwitchboardError) -> None:
        described = {"type": "error", "status": status_of(error), **error_object(error)}
        await self._websocket.send_text(orjson.dumps(described).decode())
