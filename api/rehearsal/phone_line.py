"""A simulated phone on one call: what the caller hears at the pace of speech, and what the caller does."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Final

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode

from api.rehearsal import frames
from api.rehearsal.frames import Frame, InvalidFrame, Text, read_frame
from api.rehearsal.speech import Speech
from api.terminal.agent_api import ClientError, ConnectionLost

KEYS: Final = "0123456789*#"
"""The keys of a phone."""


class LineClosed(ClientError):
    """The server closed the connection of the call without an `end` frame."""


@dataclass(frozen=True, slots=True)
class Received:
    """A frame, and the time on the clock of `time.monotonic` at which it came."""

    frame: Frame
    at: float


@dataclass(frozen=True, slots=True)
class Interruption:
    """What an interrupted utterance had come to. `unheard` is the text that had arrived and was not spoken."""

    heard: str
    unheard: str
    at: float


class PhoneLine:
    """The caller's end of a call. `language` is the language that the caller speaks.

    `interruptible` says whether speech interrupts the agent at all.
    `speech` is the agent's voice: `next` gives it the text that arrives. All methods raise ConnectionLost when the
    connection breaks, and LineClosed when the server closes it.
    """

    def __init__(
        self, connection: ClientConnection, speech: Speech, language: str, *, interruptible: bool = True
    ) -> None:
        self._connection = connection
        self.speech = speech
        self.language = language
        self._interruptible = interruptible

    async def next(self, timeout: float | None = None) -> Received | None:
        """The next frame; None if none comes within `timeout` seconds."""
        try:
            async with asyncio.timeout(timeout):
                data = await self._connection.recv()
        except TimeoutError:
            return None
        except ConnectionClosed as exc:
            raise _closed(exc) from exc
        now = time.monotonic()
        try:
            frame = read_frame(data)
        except InvalidFrame as exc:
            raise ClientError(f"The server sent {exc}.") from exc
        if isinstance(frame, Text):
            interruptible = self._interruptible and frame.interruptible
            self.speech.add(frame.token, now, last=frame.last, interruptible=interruptible)
        return Received(frame, now)

    async def say(self, text: str, language: str | None = None) -> float:
        """Say something. Returns when it was sent."""
        self.speech.clear()
        return await self._send(frames.prompt_frame(text, language or self.language))

    async def interrupt(self, position: int | None = None) -> Interruption:
        """Begin to speak while the agent speaks: the voice stops where it is, or at `position` if that is earlier."""
        heard, unheard = self.speech.stop(time.monotonic(), position)
        sent = await self._send(frames.interrupt_frame(heard, self.speech.duration))
        return Interruption(heard, unheard, sent)

    async def press(self, digits: str) -> float:
        """Press these keys. Returns when the last was sent."""
        self.speech.clear()
        sent = time.monotonic()
        for digit in digits:
            sent = await self._send(frames.dtmf_frame(digit))
        return sent

    async def _send(self, frame: bytes) -> float:
        now = time.monotonic()
        try:
            await self._connection.send(frame, text=True)
        except ConnectionClosed as exc:
            raise _closed(exc) from exc
        return now


def _closed(exc: ConnectionClosed) -> ClientError:
    if exc.rcvd is None or exc.rcvd.code == CloseCode.ABNORMAL_CLOSURE:
        return ConnectionLost("The line broke.", sent=True)
    reason = f": {exc.rcvd.reason}" if exc.rcvd.reason else f" (code {exc.rcvd.code})."
    return LineClosed(f"The server closed the line{reason}")
