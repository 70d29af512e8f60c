"""One WebSocket of one phone call, whatever its frames are."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Final

import structlog
from starlette.types import Message, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from agent.calls.call import Call
from agent.calls.calls import Calls
from agent.calls.details import CallDetails
from agent.calls.line import Line
from api.http.errors import error_response
from api.http.guarded_websocket import SERVICE_RESTART
from api.phone.access import chosen_subprotocol
from config.errors import SwitchboardError

log = structlog.get_logger(__name__)

REPLACED: Final = 4000
"""The close code of a connection whose call has a newer one."""

POLICY_VIOLATION: Final = 1008


class CallConnection:
    """Reads all the time, so that an interruption and a hang-up are noticed at once; the call's own steps speak.

    A wire reads its frames with `receive`, and runs its call with `talk`.
    """

    def __init__(self, websocket: WebSocket, stopping: asyncio.Event) -> None:
        self.websocket = websocket
        self._stopping = stopping
        self._close_code: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._has_ignored = False

    async def serve(self) -> None:
        """Serve until the connection ends."""
        raise NotImplementedError

    async def talk(
        self, line: Line, details: CallDetails, read: Callable[[Call], Coroutine[Any, Any, None]], *, reminds: bool
    ) -> None:
        """Run the call until `read` has read all frames, the call has a newer connection, or the server stops."""
        calls: Calls = self.websocket.state.calls
        async with calls.open(line, details, lambda: self.close_with(REPLACED), reminds=reminds) as call:
            reading = asyncio.create_task(read(call))
            stopping = asyncio.create_task(self._stop_when_finished(call))
            ends: list[asyncio.Future[Any]] = [reading, self._close_code]
            try:
                await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            finally:
                reading.cancel()
                stopping.cancel()
                await asyncio.gather(reading, stopping, return_exceptions=True)
        if not reading.cancelled():
            reading.result()  # a bug is raised on
        if self._close_code.done():
            with suppress(WebSocketDisconnect):
                await self.websocket.close(self._close_code.result())

    async def receive(self) -> str | bytes | None:
        """The next message; None at the end of the connection."""
        message: Any = await self.websocket.receive()
        if message["type"] == "websocket.disconnect":
            return None
        return message.get("text") or message.get("bytes") or ""

    async def send(self, frame: str) -> None:
        """Send a frame. One that is gone hears nothing."""
        with suppress(WebSocketDisconnect):
            await self.websocket.send_text(frame)

    async def refuse(self, error: SwitchboardError) -> None:
        """Close the connection of a call that cannot be."""
        log.warning("phone_call_refused", reason=error.code)
        await self.websocket.close(POLICY_VIOLATION, str(error))

    def ignore(self, reason: str) -> None:
        """Log the first frame that is not used."""
        if not self._has_ignored:
            log.info("phone_frame_ignored", reason=reason, further="not logged")
        self._has_ignored = True

    def close_with(self, code: int) -> None:
        if not self._close_code.done():
            self._close_code.set_result(code)

    async def _stop_when_finished(self, call: Call) -> None:
        await self._stopping.wait()
        await call.finished()
        self.close_with(SERVICE_RESTART)


class CallEndpoint:
    """The ASGI application of a path. `let_in` raises the error with which a handshake is refused."""

    def __init__(self, let_in: Callable[[WebSocket], object], connection: type[CallConnection]) -> None:
        self._let_in = let_in
        self._connection = connection

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        stopping = asyncio.Event()

        async def receive_all() -> Message:
            """Between the server's wish to stop and the end of the connection the caller may still speak."""
            while (message := await receive()).get("code") == SERVICE_RESTART:
                stopping.set()
            return message

        websocket = WebSocket(scope, receive_all, send)
        try:
            self._let_in(websocket)
        except SwitchboardError as error:
            await websocket.send_denial_response(error_response(error))
            return
        await websocket.accept(chosen_subprotocol(websocket))
        await self._connection(websocket, stopping).serve()
