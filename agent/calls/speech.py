"""Speaks on a line, and remembers what was said."""

from __future__ import annotations

import asyncio
import re
from typing import Final

from agent.calls.line import Line
from agent.calls.spoken import Spoken
from agent.calls.words import WITHOUT_SPACES, Words
from agent.stream import TextJoiner
from config.profile.languages import nearest_language
from config.profile.phone import ANY_OF_MANY, NumberProfile, Sentence

SECONDS_PER_WORD: Final = 0.4
SECONDS_PER_LETTER: Final = 0.25
"""How long a word takes to speak, and a letter of a script without spaces."""

_LETTER: Final = re.compile(f"[{WITHOUT_SPACES}]")


class Speech:
    """The agent's side of one call. `language` is what it speaks: of those of `profile`, that nearest to the caller's.

    `played` is when, by the loop's clock, the line has presumably played all that was said.
    """

    def __init__(self, line: Line, profile: NumberProfile) -> None:
        self._line = line
        self._known = (profile.language, *profile.languages)
        self._tag: str | None = None
        self.language = profile.language
        self.solicited = True
        """Whether what is said now answers the caller."""
        self.played = 0.0
        self._words = Words()
        self._joiner = TextJoiner()
        self._spoken = Spoken()

    def begin(self, greeting: str | None = None) -> None:
        """The caller has spoken, or the line has said `greeting`: what was said before is over."""
        self._spoken = Spoken()
        self._words = Words()
        self._joiner = TextJoiner()
        if greeting:
            self._spoken.add(greeting, own=False)
            self.played = played_at(self.played, greeting)

    def answer_in(self, language: str) -> None:
        """The caller speaks this language."""
        nearest = nearest_language(language, self._known)
        self._tag = None if nearest == self._known[0] else nearest
        self.language = language if nearest == ANY_OF_MANY else nearest

    async def say_own(self, text: str) -> None:
        """Speak the agent's own words, which come in pieces of any length."""
        text = self._joiner.join(text)
        self._spoken.add(text, own=True)
        if whole := self._words.cut(text):
            await self._say(whole)

    def end_text(self) -> None:
        """What follows is another text of the agent."""
        self._joiner.end_text()

    async def say(self, sentence: Sentence | str) -> None:
        """Speak a sentence of the line, which is not one of the agent's."""
        await self.flush()
        self._joiner.end_text()
        text = self._joiner.join(sentence if isinstance(sentence, str) else sentence.in_language(self.language))
        self._joiner.end_text()
        self._spoken.add(text, own=False)
        await self._say(text)

    async def flush(self) -> None:
        """Speak the rest of the agent's words: something else follows."""
        if (rest := self._words.rest()).strip():
            await self._say(rest)

    async def end(self) -> None:
        """End the utterance."""
        await self.flush()
        self._joiner = TextJoiner()
        await self._line.end_utterance()

    def interrupted(self, heard: str | None) -> str | None:
        """What the caller heard of the agent's own words; None if that is all, or not known."""
        self.played = 0.0
        self._words = Words()
        self._joiner = TextJoiner()
        own = self._spoken.own
        kept = own if heard is None else self._spoken.own_heard(heard)
        self._spoken = Spoken(kept)
        return None if kept.split() == own.split() else kept

    def settle(self) -> None:
        """All that was said has been played: the caller was silent since."""
        self._spoken.settle()

    async def _say(self, text: str) -> None:
        self.played = played_at(self.played, text)
        await self._line.say(text, solicited=self.solicited, language=self._tag)


def played_at(before: float, text: str) -> float:
    """When a line has presumably played `text`, by the loop's clock. What was said `before` is played until then."""
    letters = 0 if text.isascii() else len(_LETTER.findall(text))
    seconds = SECONDS_PER_LETTER * letters + SECONDS_PER_WORD * len(text.split())
    return max(before, asyncio.get_running_loop().time()) + seconds
