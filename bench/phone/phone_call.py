"""One phone call from the carrier's side, with precise arrival times."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import perf_counter

from websockets.asyncio.client import ClientConnection, connect

from api.rehearsal.frames import Text, interrupt_frame, prompt_frame, read_frame, setup_frame
from bench.load import Target


class PhoneCall:
    """The carrier's end of one call. Times are in seconds, of `time.perf_counter()`."""

    def __init__(self, websocket: ClientConnection) -> None:
        self._websocket = websocket

    async def say(self, text: str) -> float:
        """The caller says `text`. Returns when it was sent."""
        return await self._send(prompt_frame(text, "en-US"))

    async def interrupt(self, heard: str) -> float:
        """The caller interrupts after hearing `heard`. Returns when it was sent."""
        return await self._send(interrupt_frame(heard, seconds=1))

    async def next_text(self) -> tuple[float, Text]:
        """Wait for the next `text` frame. Returns when it came, and the frame."""
        while True:
            data = await self._websocket.recv(decode=False)
            arrival = perf_counter()
            if isinstance(frame := read_frame(data), Text):
                return arrival, frame

    async def _send(self, frame: bytes) -> float:
        start = perf_counter()
        await self._websocket.send(frame, text=True)
        return start


@asynccontextmanager
async def phone_call(target: Target, number: int, model: str) -> AsyncIterator[PhoneCall]:
    """Call the server; `model` answers."""
    url = f"ws://{target.host}:{target.port}/phone/relay"
    headers = {"authorization": f"Bearer {target.token}"}
    async with connect(url, additional_headers=headers, compression=None, ping_interval=None) as websocket:
        setup = setup_frame(f"CA{number}", f"+1555{number:07}", "+18885550100", {"model": target.models[model]})
        await websocket.send(setup, text=True)
        yield PhoneCall(websocket)
