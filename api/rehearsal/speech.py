"""How far a voice has come in a text that still arrives. Pure: the caller says what time it is.

A voice takes the same time for each letter, and that of three letters for a Chinese, Japanese or Korean character.
"""

from __future__ import annotations

import math
import re
from typing import Final
from unicodedata import east_asian_width

PACE: Final = 15.0
"""Letters per second. English is spoken at about 15."""

WIDE: Final = 3.0
"""Letters that take as long as a wide character."""

ROUNDING: Final = 1e-9
"""Seconds. Sums of floating-point numbers are not exact."""

WORD: Final = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\s\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+")
"""A word; in Chinese, Japanese and Korean a character."""


def end_of_word(text: str, number: int) -> int | None:
    """Where the word with that number, from 1, ends; None if the text has fewer words."""
    for at, word in enumerate(WORD.finditer(text), 1):
        if at == number:
            return word.end()
    return None


def count_words(text: str) -> int:
    """The number of words."""
    return sum(1 for _ in WORD.finditer(text))


def last_word_end(text: str, position: int) -> int:
    """Where the last word ends that ends at or before `position`; 0 if none does."""
    ends = (word.end() for word in WORD.finditer(text))
    return max((each for each in ends if each <= position), default=0)


class Speech:
    """One utterance at a time. `pace` is in letters per second; 0 speaks at once.

    `text` is the utterance as far as it has arrived, `complete` says whether that is all of it.
    """

    def __init__(self, pace: float = PACE) -> None:
        self._pace = pace
        self._position = 0
        self._ahead = 0.0  # seconds since the letter before `_position` was spoken
        self._now = 0.0
        self._began = 0.0
        self.text = ""
        self.complete = True
        self.interruptible = True

    @property
    def heard(self) -> str:
        """What has been spoken until the last `advance`."""
        return self.text[: self._position]

    @property
    def ended(self) -> bool:
        """Whether nothing is left to speak, now or later."""
        return self.complete and self._position == len(self.text)

    @property
    def duration(self) -> float:
        """Seconds since the utterance began, until the last `advance`."""
        return self._now - self._began

    def add(self, token: str, now: float, *, last: bool = False, interruptible: bool = True) -> None:
        """More of the utterance; the first of a new one if the last one has ended."""
        self.advance(now)
        if self.ended:
            if not token:
                return
            self.text, self._position, self._began = "", 0, now
        elif self.complete and token:  # the voice has not come to the end of the last utterance
            self.text += " "
        self.text += token
        self.complete = last
        self.interruptible = interruptible
        self.advance(now)

    def clear(self) -> None:
        """Forget an utterance that has ended."""
        if self.ended:
            self.text, self._position = "", 0

    def advance(self, now: float) -> None:
        """Speak until this time. A voice that waits for text does not hurry afterwards."""
        passed, self._now = max(0.0, now - self._now), max(now, self._now)
        if not self._pace:
            self._position = len(self.text)
            return
        self._ahead += passed
        while (
            self._position < len(self.text) and self._ahead >= (takes := self._seconds_for(self._position)) - ROUNDING
        ):
            self._ahead -= takes
            self._position += 1
        if self._position == len(self.text):
            self._ahead = 0.0

    def seconds_until(self, position: int) -> float:
        """Seconds from the last `advance` until the voice has come so far; infinite if the text has not."""
        if position > len(self.text):
            return math.inf
        if position <= self._position or not self._pace:
            return 0.0
        return max(0.0, sum(map(self._seconds_for, range(self._position, position))) - self._ahead)

    @property
    def seconds_left(self) -> float:
        """Seconds from the last `advance` until all text that has arrived is spoken."""
        return self.seconds_until(len(self.text))

    def stop(self, now: float, position: int | None = None) -> tuple[str, str]:
        """Stop speaking after the last whole word, or at `position` if that is earlier.

        Returns what was heard, and the text that had arrived and was not.
        """
        self.advance(now)
        spoken = last_word_end(self.text, self._position)
        spoken = spoken if position is None else min(spoken, position)
        heard, unheard = self.text[:spoken], self.text[spoken:]
        self.text, self.complete, self._position, self._ahead = heard, True, len(heard), 0.0
        return heard, unheard

    def _seconds_for(self, position: int) -> float:
        return (WIDE if east_asian_width(self.text[position]) in ("W", "F") else 1.0) / self._pace
