"""The carrier between simulated phones and a server: asks what to do with a call, connects it, and transfers it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self
from uuid import uuid4

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, InvalidStatus

from api.rehearsal.frames import setup_frame
from api.rehearsal.phone_line import PhoneLine
from api.rehearsal.speech import PACE, Speech
from api.rehearsal.twiml import Incoming, InvalidTwiml, read_destination, read_incoming
from api.terminal.agent_api import CONNECT_TIMEOUT, READ_TIMEOUT, ClientError, ConnectionLost, is_loopback, refusal

CALLER: Final = "+14155550100"
CALLED: Final = "+18885550100"
"""Numbers for fiction."""

LARGEST_FRAME: Final = 1 << 20
CLOSE_TIMEOUT: Final = 1.0
"""Seconds. A phone does not wait for the other side to hang up."""


def new_call_id() -> str:
    """An id in the form of Twilio's."""
    return f"CA{uuid4().hex}"


@dataclass(frozen=True, slots=True)
class PhoneCall:
    """Who calls whom. `parameters` are `customParameters`, beside those that the server asks for."""

    number: str = CALLER
    to: str = CALLED
    language: str | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    call_id: str = field(default_factory=new_call_id)

    @property
    def form(self) -> dict[str, str]:
        """The call as Twilio describes it in its requests."""
        return {
            "CallSid": self.call_id,
            "From": self.number,
            "To": self.to,
            "Direction": "inbound",
            "CallStatus": "in-progress",
        }


class Carrier:
    """Calls the server at `url`, which accepts one of its own tokens in the place of a carrier's signature.

    All methods raise ApiError, ConnectionLost and other ClientErrors.
    """

    def __init__(self, url: str, token: str) -> None:
        self.url = url.rstrip("/")
        self._headers = {"authorization": f"Bearer {token}"}
        self._trust_env = not is_loopback(self.url)  # a proxy of the environment cannot reach this machine

    async def __aenter__(self) -> Self:
        self._http = httpx.AsyncClient(
            base_url=self.url,
            headers=self._headers,
            timeout=httpx.Timeout(READ_TIMEOUT, connect=CONNECT_TIMEOUT),
            limits=httpx.Limits(max_connections=None),
            trust_env=self._trust_env,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    @asynccontextmanager
    async def connected(self, call: PhoneCall, pace: float = PACE) -> AsyncIterator[PhoneLine]:
        """A phone on which the server has answered. If it greets, the greeting comes first. Leaving hangs up."""
        document = await self._post("/phone/incoming", call.form)
        try:
            incoming = read_incoming(document)
        except InvalidTwiml as exc:
            raise ClientError(f"The answer to /phone/incoming is not TwiML of a relay: {exc}.") from exc
        connection = await self._open(incoming)
        async with connection:
            speech = Speech(pace)
            # To whoever has a token instead of a signature, the server sends the greeting on the relay.
            speech.complete = not incoming.greets
            parameters = {**incoming.parameters, **call.parameters}
            await connection.send(setup_frame(call.call_id, call.number, call.to, parameters), text=True)
            language = call.language or incoming.language
            yield PhoneLine(connection, speech, language, interruptible=incoming.interruptible)

    async def destination(self, call: PhoneCall, handoff_data: str | None) -> str | None:
        """Where the server transfers the call after an `end` frame; None if it hangs up."""
        ended = {"SessionStatus": "ended", "HandoffData": handoff_data or ""}
        document = await self._post("/phone/relay/action", {**call.form, **ended})
        try:
            return read_destination(document)
        except InvalidTwiml as exc:
            raise ClientError(f"The answer to /phone/relay/action is not TwiML: {exc}.") from exc

    async def _open(self, incoming: Incoming) -> ClientConnection:
        address = f"{self.url.replace('http', 'ws', 1)}/phone/relay"
        try:
            return await connect(
                f"{address}?{incoming.query}" if incoming.query else address,
                additional_headers=self._headers,
                proxy=True if self._trust_env else None,
                compression=None,
                max_size=LARGEST_FRAME,
                open_timeout=READ_TIMEOUT,
                close_timeout=CLOSE_TIMEOUT,
            )
        except InvalidStatus as exc:
            raise refusal(exc.response.status_code, bytes(exc.response.body or b"")) from exc
        except (OSError, TimeoutError, InvalidHandshake) as exc:
            raise ConnectionLost("The server cannot be reached.", sent=False) from exc

    async def _post(self, path: str, form: Mapping[str, str]) -> str:
        try:
            response = await self._http.post(path, data=dict(form))
        except httpx.TransportError as exc:
            raise ConnectionLost("The server cannot be reached.", sent=False) from exc
        if response.status_code >= 400:
            raise refusal(response.status_code, response.content)
        return response.text
