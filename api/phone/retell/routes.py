"""`wss://HOST/phone/retell/SECRET/{call_id}`: Retell's custom LLM, one connection for each call.

Retell signs nothing and sends no header of its own, so the secret is a part of the address, to which Retell appends the
call's id. One of the server's own tokens opens `wss://HOST/phone/retell/{call_id}`.
"""

from __future__ import annotations

import asyncio
import hmac
from contextlib import suppress
from typing import Final

from pydantic import SecretStr
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from agent.calls.call import Call
from agent.calls.caller_words import begins_with
from agent.calls.calls import Calls
from agent.calls.details import CallDetails, user_of
from agent.sessions.service import SessionService
from agent.turns import TurnService
from api.http.caller_scope import stored_user
from api.http.errors import InvalidBody, PhoneLineOff, SignatureRefused
from api.http.guarded_protocol import mark_authenticated
from api.http.ids import ID_DESCRIPTION, is_valid_id
from api.phone.access import token_caller
from api.phone.connection import CallConnection, CallEndpoint
from api.phone.retell import encode
from api.phone.retell.encode import RetellLine
from api.phone.retell.wire import (
    Details,
    Frame,
    PhoneCall,
    PingPong,
    ReminderRequired,
    ResponseRequired,
    UpdateOnly,
    read_frame,
)
from config.errors import RequestError, StorageUnavailable, SwitchboardError
from config.profile.phone import Sentence
from config.settings import Settings

CALLER: Final = "retell"
"""Who is counted and limited for the calls that Retell brings."""

TIME_FOR_DETAILS: Final = 3.0
"""Seconds that the greeting waits for the number that was called. Retell sends it at once."""


def _let_in(websocket: WebSocket) -> None:
    """Note the caller in the connection's state.

    Raises:
        PhoneLineOff: no secret is configured, and no token was sent.
        SignatureRefused: the secret is wrong.
        Unauthorized: the token is wrong.
        InvalidBody: the call's id is not valid.
    """
    given = websocket.path_params.get("secret")
    if given is not None or token_caller(websocket) is None:
        settings: Settings = websocket.state.settings
        _check(given or "", settings.retell_secret)
        websocket.state.caller = CALLER
        mark_authenticated(websocket)
    if not is_valid_id(websocket.path_params["call_id"]):
        raise InvalidBody(f"The call's id in the path must be {ID_DESCRIPTION}", param="call_id")


def _check(given: str, secret: SecretStr | None) -> None:
    if secret is None:
        raise PhoneLineOff("Retell's line is off. Set SWITCHBOARD_RETELL_SECRET, and give Retell an address with it.")
    if not hmac.compare_digest(given.encode(), secret.get_secret_value().encode()):
        raise SignatureRefused("The secret in the address is not SWITCHBOARD_RETELL_SECRET.")


class _Connection(CallConnection):
    """Answers what Retell asks for; a newer request ends the older one.

    An `update_only` ends nothing: Retell still speaks the response when the caller only makes a sound. What the caller
    heard of an answer is read from the next request, or from the last update when the caller hangs up.
    """

    def __init__(self, websocket: WebSocket, stopping: asyncio.Event) -> None:
        super().__init__(websocket, stopping)
        self._newest = 0
        """The newest `response_id`."""
        self._settled: int | None = -1
        """How many of the agent's utterances the session knows to be heard; None: an older connection knew."""
        self._last_query = ""
        """What an older connection knew of the caller's last words."""
        self._first: Frame | None = None
        self._update: UpdateOnly | None = None

    async def serve(self) -> None:
        await self.send(encode.config())
        call = await self._read_details()
        if call is None:
            return
        try:
            details = self._details(call)
        except SwitchboardError as error:
            await self.refuse(error)
            return
        calls: Calls = self.websocket.state.calls
        is_new = not calls.was_open(details)
        sessions: SessionService = self.websocket.state.sessions
        with suppress(StorageUnavailable):  # the first turn says so
            if (record := await sessions.find(details.user_id, details.session_id)) is not None:
                is_new, self._settled, self._last_query = False, None, record.last_query or ""
        greeting = details.profile.greeting if is_new else None
        self._line = RetellLine(self.send, details.settings)
        await self.talk(self._line, details, lambda call: self._converse(call, greeting), reminds=False)

    async def _read_details(self) -> PhoneCall | None:
        """Whose call it is; None if the connection ends. Without details in time the call has no numbers."""
        try:
            async with asyncio.timeout(TIME_FOR_DETAILS):
                while (frame := await self._next()) is not None:
                    if isinstance(frame, Details):
                        return frame.call
                    if isinstance(frame, ResponseRequired | ReminderRequired):
                        self._first = frame
                        return PhoneCall()
        except TimeoutError:
            return PhoneCall()
        return None

    def _details(self, call: PhoneCall) -> CallDetails:
        turns: TurnService = self.websocket.state.turns
        settings = turns.profile.phone
        call_id = self.websocket.path_params["call_id"]
        user_id = stored_user(self.websocket, user_of(call.party or "", call_id))
        profile = settings.profile_of(call.line or "")
        return CallDetails(user_id, call_id, self.websocket.state.caller, profile, settings)

    async def _converse(self, call: Call, greeting: Sentence | None) -> None:
        self._line.ask(0)  # Retell waits for a first response, even an empty one
        if greeting is not None:
            call.greet(greeting)
        else:
            await self._line.end_utterance()
        if self._first is not None:
            await self._use(self._first, call)
        while (frame := await self._next()) is not None:
            await self._use(frame, call)
        await self._hang_up(call)

    async def _use(self, frame: Frame, call: Call) -> None:
        match frame:
            case ResponseRequired(response_id=response_id) if response_id > self._newest:
                self._newest = response_id
                await self._answer(frame, call)
            case ReminderRequired(response_id=response_id) if response_id > self._newest:
                self._newest = response_id
                self._line.ask(response_id)
                call.goes_on()
                await call.remind(solicited=True)
            case UpdateOnly():
                self._update = frame
            case _:
                self.ignore("not expected")

    async def _answer(self, request: ResponseRequired, call: Call) -> None:
        call.goes_on()
        said, repeats = request.said, self._repeats(request)
        if said and not repeats:
            await call.interrupt(self._heard(request))
        self._line.ask(request.response_id)
        if said:
            self._settled = len(request.spoken)
            await call.hear(said, repeats=repeats)
        elif not call.is_speaking:
            await self._line.end_utterance()

    def _repeats(self, request: ResponseRequired) -> bool:
        """Whether the caller has heard nothing since the request before, whose words this one repeats."""
        if self._settled is not None:
            return len(request.spoken) <= self._settled
        last = self._last_query
        return begins_with(request.said, last) and not begins_with(request.said_before, last)

    def _heard(self, frame: ResponseRequired | UpdateOnly) -> str | None:
        """What the caller has heard of the agent since the words that the session knows."""
        return None if self._settled is None else " ".join(frame.spoken[max(self._settled, 0) :])

    async def _hang_up(self, call: Call) -> None:
        """The caller is gone: if they had interrupted the agent, keep only what they heard."""
        update = self._update
        if update is None or self._settled is None or len(update.spoken) <= self._settled:
            return
        if update.said or update.turntaking == "user_turn":
            await call.interrupt(self._heard(update))

    async def _next(self) -> Frame | None:
        """The next frame that is not a ping; None at the end of the connection."""
        while (message := await self.receive()) is not None:
            try:
                frame = read_frame(message)
            except RequestError as error:
                self.ignore(str(error))
                continue
            if isinstance(frame, PingPong):
                await self.send(encode.pong(frame.timestamp))
            elif isinstance(frame, str):
                self.ignore("unknown type")
            else:
                return frame
        return None


_ENDPOINT: Final = CallEndpoint(_let_in, _Connection)

routes = [
    WebSocketRoute("/phone/retell/{call_id}", _ENDPOINT),
    WebSocketRoute("/phone/retell/{secret}/{call_id}", _ENDPOINT),
]
