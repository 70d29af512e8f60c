"""Sends bytes that may be no HTTP at all, and reads what the server answers until it closes the connection."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from bench.fuzz.target import FuzzTarget

STATUS_LINE: Final = re.compile(rb"(?:^|\r\n\r\n|\})HTTP/1\.1 (\d{3}) ")
"""Of an answer, also of one that follows another's head or JSON body on the same connection."""

MAX_ANSWER: Final = 4 << 20
"""Bytes that are kept of an answer."""


@dataclass(frozen=True, slots=True)
class Attack:
    """What a hostile client sends, and what is right.

    `pieces` are sent one after the other, `pause` seconds apart, until they end or the server closes the connection.
    `answers` are the statuses that are right; the first one counts. None: to close without an answer is right.
    `within`: seconds until the server must have closed the connection, unless it `may_stay_open`.
    """

    name: str
    pieces: Callable[[], Iterable[bytes]]
    answers: tuple[int | None, ...]
    pause: float = 0.0
    within: float = 10.0
    half_closes: bool = False
    may_stay_open: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """All that the server sent. `closed` is False if the client had to give up."""

    data: bytes
    closed: bool

    @property
    def statuses(self) -> list[int]:
        return [int(each) for each in STATUS_LINE.findall(self.data)]


async def answer_to(target: FuzzTarget, attack: Attack) -> Answer:
    """Carry out `attack`."""
    reader, writer = await asyncio.open_connection(target.host, target.port)
    received = bytearray()
    reading = asyncio.create_task(_read(reader, received))
    sending = asyncio.create_task(_send(writer, attack))
    try:
        async with asyncio.timeout(attack.within):
            await asyncio.wait((reading, sending), return_when=asyncio.FIRST_COMPLETED)
            await reading
        closed = True
    except TimeoutError:
        closed = False
    finally:
        for task in (reading, sending):
            task.cancel()
        await asyncio.gather(reading, sending, return_exceptions=True)
        writer.transport.abort()
    return Answer(bytes(received), closed)


async def _read(reader: asyncio.StreamReader, received: bytearray) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(65536):
            received += data[: MAX_ANSWER - len(received)]


async def _send(writer: asyncio.StreamWriter, attack: Attack) -> None:
    with suppress(ConnectionError):
        for piece in attack.pieces():
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(attack.pause)
        if attack.half_closes:
            writer.write_eof()
