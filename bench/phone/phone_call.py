"""One phone call from the carrier's side: frames over a WebSocket, with precise arrival times."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import perf_counter
from typing import Any

import orjson
from websockets.asyncio.client import ClientConnection, connect

from bench.load import Target


class PhoneCall:
    """The carrier's end of one call. Times are in seconds, of `time.perf_counter()`."""

    def __init__(self, websocket: ClientConnection) -> None:
        self._websocket = websocket

    async def say(self, text: str) -> float:
        """The caller says `text`. Returns when it was sent."""
        return await self._send(type="prompt", voicePrompt=text, lang="en-US", last=True)

    async def interrupt(self, heard: str) -> float:
        """The caller interrupts after hearing `heard`. Returns when it was sent."""
        return await self._send(type="interrupt", utteranceUntilInterrupt=heard, durationUntilInterruptMs=1000)

    async def next_text(self) -> tuple[float, str, bool]:
        """Wait for the next `text` frame: when it came, its token, and whether it is the utterance's last."""
        while True:
            data = await self._websocket.recv(decode=False)
            arrival = perf_counter()
            frame = orjson.loads(data)
            if frame["type"] == "text":
                return arrival, frame["token"], frame["last"]

    async def _send(self, **frame: Any) -> float:
        start = perf_counter()
        await self._websocket.send(orjson.dumps(frame), text=True)
        return start


@asynccontextmanager
async def phone_call(target: Target, number: int, model: str) -> AsyncIterator[PhoneCall]:
    """Call the server; `model` answers."""
    url = f"ws://{target.host}:{target.port}/phone/relay"
    headers = {"authorization": f"Bearer {target.token}"}
    async with connect(url, additional_headers=headers, compression=None, ping_interval=None) as websocket:
        setup = {
            "type": "setup",
            "sessionId": f"VX{number}",
            "callSid": f"CA{number}",
            "from": f"+1555{number:07}",
            "to": "+18885550100",
            "direction": "inbound",
            "customParameters": {"model": target.models[model]},
        }
        await websocket.send(orjson.dumps(setup), text=True)
        yield PhoneCall(websocket)
