"""`wss://HOST/phone/relay`: ConversationRelay's WebSocket, one connection for each call."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Final

import structlog
from starlette.routing import WebSocketRoute

from agent.calls.call import Call
from agent.calls.details import CallDetails, user_of
from agent.turns import TurnService
from api.http.caller_scope import stored_user
from api.http.ids import is_valid_id
from api.phone.access import caller_of
from api.phone.connection import CallConnection, CallEndpoint
from api.phone.relay.encode import RelayLine
from api.phone.relay.wire import Dtmf, Frame, Interrupt, LineError, Prompt, Setup, Unknown, frame_of
from config.errors import RequestError, SwitchboardError
from config.log_content import quoted

log = structlog.get_logger(__name__)

NORMAL: Final = 1000

MAX_LOGGED: Final = 500
"""Characters of an error of the carrier in the log."""

TIME_TO_HANG_UP: Final = 10.0
"""Seconds after an `end` frame in which the carrier closes the connection; then the server does."""


class _Connection(CallConnection):
    """Begins a call with its setup frame, and tells it what the carrier reports."""

    async def serve(self) -> None:
        """Serve until the carrier hangs up, the call has a newer connection, or the server stops."""
        setup = await self._read_setup()
        if setup is None:
            return
        try:
            details = self._details(setup)
        except SwitchboardError as error:
            await self.refuse(error)
            return
        line = RelayLine(self.websocket, details.settings, self._on_ended, end_cuts=setup.is_telnyx)
        await self.talk(line, details, lambda call: self._read(call, details), reminds=True)

    async def _read_setup(self) -> Setup | None:
        while (frame := await self._next()) is not None:
            if isinstance(frame, Setup):
                return frame
            self.ignore("before setup")
        return None

    def _details(self, setup: Setup) -> CallDetails:
        """Whose call it is. Raises RequestError if the setup names no call."""
        if not is_valid_id(setup.call_id):
            raise RequestError("The setup frame has no valid callSid.", param="callSid")
        turns: TurnService = self.websocket.state.turns
        settings = turns.profile.phone
        profile = settings.profile_of(setup.line)
        if setup.model or setup.agent:
            profile = replace(profile, model=setup.model, agent=setup.agent)
        user_id = stored_user(self.websocket, user_of(setup.party, setup.call_id))
        return CallDetails(user_id, setup.call_id, self.websocket.state.caller, profile, settings)

    async def _read(self, call: Call, details: CallDetails) -> None:
        """Read frames until the connection ends."""
        if details.profile.greeting is not None:
            begin = call.greet if self.websocket.state.carrier is None else call.greeted
            begin(details.profile.greeting)
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
                case LineError(description):
                    log.warning(
                        "phone_line_error",
                        effect="the carrier ignored a frame, or its speech failed",
                        description=quoted(description[:MAX_LOGGED]),
                    )
                case _:
                    self.ignore("not expected")

    async def _next(self) -> Frame | None:
        """The next frame of a known type; None at the end of the connection."""
        while (message := await self.receive()) is not None:
            try:
                frame = frame_of(message)
            except RequestError as error:
                self.ignore(str(error))
                continue
            if not isinstance(frame, Unknown):
                return frame
            self.ignore("unknown type")
        return None

    def _on_ended(self) -> None:
        asyncio.get_running_loop().call_later(TIME_TO_HANG_UP, self.close_with, NORMAL)


_ENDPOINT: Final = CallEndpoint(caller_of, _Connection)

routes = [WebSocketRoute("/phone/relay", _ENDPOINT), WebSocketRoute("/phone/relay/{ticket}", _ENDPOINT)]
