"""`wss://HOST/phone/relay`: ConversationRelay's WebSocket, one connection for each call."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

import structlog
from starlette.routing import WebSocketRoute
from starlette.types import Message, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from agent.calls.call import Call
from agent.calls.calls import Calls
from agent.calls.details import CallDetails, user_of
from agent.turns import TurnService
from api.http.caller_scope import stored_user
from api.http.errors import error_response
from api.http.guarded_websocket import SERVICE_RESTART
from api.http.ids import is_valid_id
from api.phone.access import caller_of, chosen_subprotocol
from api.phone.relay.encode import RelayLine
from api.phone.relay.wire import Dtmf, Frame, Interrupt, LineError, Prompt, Setup, Unknown, frame_of
from config.errors import RequestError, SwitchboardError

log = structlog.get_logger(__name__)

REPLACED: Final = 4000
"""The close code of a connection whose call has a newer one."""

NORMAL: Final = 1000
POLICY_VIOLATION: Final = 1008

TIME_TO_HANG_UP: Final = 10.0
"""Seconds after an `end` frame in which the carrier closes the connection; then the server does."""


class Relay:
    """The ASGI application of the path."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        stopping = asyncio.Event()

        async def receive_all() -> Message:
            """Between the server's wish to stop and the end of the connection the caller may still speak."""
            while (message := await receive()).get("code") == SERVICE_RESTART:
                stopping.set()
            return message

        websocket = WebSocket(scope, receive_all, send)
        try:
            caller_of(websocket)
        except SwitchboardError as error:
            await websocket.send_denial_response(error_response(error))
            return
        await websocket.accept(chosen_subprotocol(websocket))
        await _Connection(websocket, stopping).serve()


routes = [WebSocketRoute("/phone/relay", Relay()), WebSocketRoute("/phone/relay/{ticket}", Relay())]


class _Connection:
    """Reads all the time, so that an interruption and a hang-up are noticed at once; the call's own steps speak."""

    def __init__(self, websocket: WebSocket, stopping: asyncio.Event) -> None:
        self._websocket = websocket
        self._stopping = stopping
        self._close_code: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._has_ignored = False

    async def serve(self) -> None:
        """Serve until the carrier hangs up, the call has a newer connection, or the server stops."""
        setup = await self._read_setup()
        if setup is None:
            return
        try:
            details = self._details(setup)
        except SwitchboardError as error:
            log.warning("phone_call_refused", reason=error.code)
            await self._websocket.close(POLICY_VIOLATION, str(error))
            return
        calls: Calls = self._websocket.state.calls
        line = RelayLine(self._websocket, details.settings, self._on_ended, end_cuts=setup.is_telnyx)
        async with calls.open(line, details, lambda: self._close_with(REPLACED)) as call:
            if details.profile.greeting is not None:
                begin = call.greet if self._websocket.state.carrier is None else call.greeted
                begin(details.profile.greeting)
            reading = asyncio.create_task(self._read(call))
            stopping = asyncio.create_task(self._stop_when_finished(call))
            try:
                ends: list[asyncio.Future[Any]] = [reading, self._close_code]
                await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            finally:
                reading.cancel()
                stopping.cancel()
                await asyncio.gather(reading, stopping, return_exceptions=True)
        if self._close_code.done():
            with suppress(WebSocketDisconnect):
                await self._websocket.close(self._close_code.result())

    async def _read_setup(self) -> Setup | None:
        while (frame := await self._next()) is not None:
            if isinstance(frame, Setup):
                return frame
            self._ignore("before setup")
        return None

    def _details(self, setup: Setup) -> CallDetails:
        """Whose call it is. Raises RequestError if the setup names no call."""
        if not is_valid_id(setup.call_id):
            raise RequestError("The setup frame has no valid callSid.", param="callSid")
        turns: TurnService = self._websocket.state.turns
        settings = turns.profile.phone
        profile = settings.profile_of(setup.line)
        if setup.model or setup.agent:
            profile = replace(profile, model=setup.model, agent=setup.agent)
        user_id = stored_user(self._websocket, user_of(setup.party, setup.call_id))
        return CallDetails(user_id, setup.call_id, self._websocket.state.caller, profile, settings)

    async def _read(self, call: Call) -> None:
        """Read frames until the connection ends."""
        while (frame := await self._next()) is not None:
            match frame:
                case Prompt(text, language, is_last):
                    if is_last:
                        await call.hear(text, language)
                    else:
                        call.caller_speaks()
                case Interrupt(heard):
                    await call.interrupt(heard)
                case Dtmf(digit) if digit:
                    await call.press(digit)
                case LineError():
                    log.warning("phone_line_error", effect="the carrier ignored a frame, or its speech failed")
                case _:
                    self._ignore("not expected")

    async def _next(self) -> Frame | None:
        """The next frame of a known type; None at the end of the connection."""
        while True:
            message: Any = await self._websocket.receive()
            if message["type"] == "websocket.disconnect":
                return None
            try:
                frame = frame_of(message.get("text") or message.get("bytes") or "")
            except RequestError as error:
                self._ignore(str(error))
                continue
            if not isinstance(frame, Unknown):
                return frame
            self._ignore("unknown type")

    def _ignore(self, reason: str) -> None:
        if not self._has_ignored:
            log.info("phone_frame_ignored", reason=reason, further="not logged")
        self._has_ignored = True

    async def _stop_when_finished(self, call: Call) -> None:
        await self._stopping.wait()
        await call.finished()
        self._close_with(SERVICE_RESTART)

    def _on_ended(self) -> None:
        asyncio.get_running_loop().call_later(TIME_TO_HANG_UP, self._close_with, NORMAL)

    def _close_with(self, code: int) -> None:
        if not self._close_code.done():
            self._close_code.set_result(code)
