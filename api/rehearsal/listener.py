"""Listens to what the agent does in one step of a call, until the step is over."""

from __future__ import annotations

import time
from typing import Final

from api.rehearsal.frames import End, Text
from api.rehearsal.phone_line import Interruption, PhoneLine
from api.rehearsal.speech import end_of_word

SETTLED: Final = 0.5
"""Seconds without text after which an interrupted agent counts as silent."""


class Listener:
    """The caller's ear in one step. `timeout` is the seconds in which the agent must go on.

    `text` is what the caller heard, `end` the frame that ended the call. Times are on the clock of `time.monotonic`.
    All methods raise ConnectionLost and LineClosed.
    """

    def __init__(self, line: PhoneLine, timeout: float) -> None:
        self._line = line
        self._timeout = timeout
        self._progress = time.monotonic()
        self._sent: float | None = None
        self._first: float | None = None
        self._interruption: Interruption | None = None
        self._last_after: float | None = None
        self._is_complete = False
        """Whether the utterance has arrived; what comes then is another one."""
        self.text = ""
        self.end: End | None = None
        self.timed_out = False

    @property
    def first_word(self) -> float | None:
        """Seconds from what the caller did to the first word of the answer."""
        return None if self._sent is None or self._first is None else self._first - self._sent

    @property
    def silence(self) -> float | None:
        """Seconds from the interruption to the last text that still came, 0 if none came; None if there was none."""
        if self._interruption is None:
            return None
        return 0.0 if self._last_after is None else self._last_after - self._interruption.at

    async def until_spoken(self) -> None:
        """Let the agent finish what it is saying. It belongs to no step."""
        while not self._is_late() and not self._line.speech.ended:
            await self._receive(self._patience(self._line.speech.seconds_left))

    async def say(self, text: str, language: str | None) -> None:
        self._begin(await self._line.say(text, language))

    async def dial(self, digits: str) -> None:
        self._begin(await self._line.press(digits))

    async def wait(self, seconds: float) -> None:
        """Be silent for so long, unless the call ends."""
        until = time.monotonic() + seconds
        while self.end is None and (left := until - time.monotonic()) > 0:
            await self._receive(left)

    async def answer(self, *, until_end: bool, interrupt_after: int | None) -> None:
        """Hear one utterance to its end, or the call to its end, or interrupt after so many words."""
        speech = self._line.speech
        while self.end is None and not self._is_late():
            left = speech.seconds_left
            if interrupt_after is not None:
                position = end_of_word(speech.text, interrupt_after)
                if position is not None and speech.interruptible:
                    left = speech.seconds_until(position)
                    if left == 0:
                        await self._interrupt(position)
                        return
            if speech.ended and self.text.strip() and not until_end:
                return
            await self._receive(self._patience(left))

    async def _interrupt(self, position: int) -> None:
        self._interruption = await self._line.interrupt(position)
        self.text = self._interruption.heard
        silent_since = self._interruption.at
        while self.end is None and (left := silent_since + SETTLED - time.monotonic()) > 0:
            await self._receive(left)
            silent_since = self._last_after or silent_since
        self._line.speech.stop(time.monotonic(), 0)  # the caller does not listen to what came too late

    def _begin(self, sent: float) -> None:
        self._sent = self._progress = sent
        self.text, self._first = "", None

    def _is_late(self) -> bool:
        """Whether the agent has been silent for too long. Moves the voice on."""
        now = time.monotonic()
        self._line.speech.advance(now)
        if left := self._line.speech.seconds_left:
            self._progress = now + left
        self.timed_out = now > self._progress + self._timeout
        return self.timed_out

    def _patience(self, seconds: float) -> float:
        """Seconds to wait for a frame: so many, or if they are 0, until the agent is late."""
        late = max(0.0, self._progress + self._timeout - time.monotonic())
        return min(seconds, late) if seconds else late

    async def _receive(self, seconds: float) -> None:
        received = await self._line.next(seconds)
        if received is None:
            return
        self._progress = received.at
        match received.frame:
            case End() as end:
                self.end = end
            case Text(token, last):
                self._hear(token, received.at)
                self._is_complete = last
            case _:
                pass

    def _hear(self, token: str, at: float) -> None:
        if self._interruption is not None:
            self._last_after = at
            return
        if self._first is None and token.strip():
            self._first = at
        is_next = token and self._is_complete and self.text[-1:].strip()
        self.text += f" {token}" if is_next else token
