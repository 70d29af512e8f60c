"""The agent's side of a phone call on the screen: what it is saying, and what it has said."""

from __future__ import annotations

import asyncio
import time

from rich.console import Console, RenderableType

from api.rehearsal.phone_line import Interruption, PhoneLine
from api.terminal import call_view


class AgentVoice:
    """Follows the voice on `line`.

    `quiet` is set while the agent has finished, or has nothing to say. `shown` says whether its last utterance stays
    on the screen.
    """

    def __init__(self, line: PhoneLine) -> None:
        self._line = line
        self._asked: float | None = None  # when the caller spoke, until the first word of the answer
        self._first_word: float | None = None
        self.shown = line.speech.ended
        self.quiet = asyncio.Event()

    def asked(self, sent: float) -> None:
        """The caller has said or dialled something at this time."""
        self._asked, self._first_word = sent, None
        self.quiet.clear()

    def hear(self, token: str, at: float, *, last: bool) -> None:
        """A piece of text came at this time."""
        if token.strip():
            self.shown = False
            self.quiet.clear()
            if self._asked is not None:
                self._first_word, self._asked = at - self._asked, None
        elif last and self._asked is not None and self.shown:  # the agent has nothing to say
            self._asked = None
            self.quiet.set()

    def ended(self) -> RenderableType | None:
        """An utterance that has been spoken just now, to be shown."""
        speech = self._line.speech
        speech.advance(time.monotonic())
        if not speech.ended or self._asked is not None:
            return None
        self.quiet.set()
        if self.shown:
            return None
        self.shown = True
        return call_view.agent(speech.text, note=self._times())

    def interrupted(self, interruption: Interruption) -> RenderableType:
        """An utterance that the caller interrupted."""
        self.shown = True
        note = " · ".join(filter(None, [self._times(), f"interrupted after {self._line.speech.duration:.1f} s"]))
        return call_view.agent(interruption.heard, interruption.unheard, note)

    def cut(self) -> RenderableType | None:
        """An utterance that the caller hears no more, having hung up."""
        if self.shown:
            return None
        self.shown = True
        heard, unheard = self._line.speech.stop(time.monotonic())
        return call_view.agent(heard, unheard, self._times()) if heard or unheard else None

    def live(self, console: Console) -> RenderableType | None:
        """What the agent is saying, or how long it has been silent."""
        speech, now = self._line.speech, time.monotonic()
        speech.advance(now)
        if not self.shown and speech.heard.strip():
            return call_view.speaking(speech.heard, console)
        return None if self._asked is None else call_view.silent(now - self._asked)

    def _times(self) -> str:
        took, self._first_word = self._first_word, None
        return "" if took is None else f"first word {took * 1000:.0f} ms"
