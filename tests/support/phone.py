"""A simulated phone: ConversationRelay's side of a carrier."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import orjson
from websockets.asyncio.client import ClientConnection, connect

from tests.support.serving import Served

CALLER = "+15550100"
CALL = "CA1"


class Phone:
    """One connection of one call."""

    def __init__(self, websocket: ClientConnection) -> None:
        self.websocket = websocket

    async def send(self, kind: str, **fields: Any) -> None:
        await self.websocket.send(orjson.dumps({"type": kind, **fields}).decode())

    async def say(self, text: str, **fields: Any) -> None:
        await self.send("prompt", voicePrompt=text, lang="en-US", last=True, **fields)

    async def interrupt(self, heard: str, milliseconds: int = 500) -> None:
        await self.send("interrupt", utteranceUntilInterrupt=heard, durationUntilInterruptMs=milliseconds)

    async def frame(self, within: float = 10.0) -> dict[str, Any]:
        async with asyncio.timeout(within):
            frame: dict[str, Any] = orjson.loads(await self.websocket.recv())
        return frame

    async def frames(self, until: str = "last") -> list[dict[str, Any]]:
        """The frames up to the end of an utterance, or up to one of the type `until`."""
        found: list[dict[str, Any]] = []
        while not found or not (found[-1].get("last") is True if until == "last" else found[-1]["type"] == until):
            found.append(await self.frame())
        return found

    async def heard(self) -> str:
        """The next utterance."""
        return "".join(each["token"] for each in await self.frames()).strip()

    async def ask(self, text: str) -> str:
        """Say `text`; returns the answer."""
        await self.say(text)
        return await self.heard()


@asynccontextmanager
async def socket_of(server: Served, path: str = "/phone/relay", **options: Any) -> AsyncIterator[ClientConnection]:
    options.setdefault("additional_headers", server.headers)
    async with connect(f"{server.url.replace('http', 'ws', 1)}{path}", proxy=None, **options) as websocket:
        yield websocket


@asynccontextmanager
async def phone(
    server: Served,
    call: str = CALL,
    caller: str = CALLER,
    to: str = "+18885550100",
    parameters: Mapping[str, str] | None = None,
    control_id: str | None = None,
    **options: Any,
) -> AsyncIterator[Phone]:
    """A phone that is connected, as Twilio sets it up."""
    async with socket_of(server, **options) as websocket:
        made = Phone(websocket)
        await made.send(
            "setup",
            sessionId="VX1",
            callSid=call,
            **{"from": caller, "to": to},
            direction="inbound",
            callType="PSTN",
            customParameters=dict(parameters or {}),
            **({"callControlId": control_id} if control_id else {}),
        )
        yield made
