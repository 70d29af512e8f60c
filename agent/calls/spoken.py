"""What was said on a line, and how much of the agent's own words the caller heard. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from agent.calls.words import WITHOUT_SPACES

MAX_HEARD: Final = 20_000
"""Characters of what the caller heard that are compared; a phone call plays less before somebody interrupts."""

_WORD: Final = re.compile(rf"[{WITHOUT_SPACES}]|[^\s{WITHOUT_SPACES}]+")
"""A word, or a letter of a script without spaces."""

_CLOSING: Final = re.compile(rf"[^\w\s]*(?=[\s{WITHOUT_SPACES}]|\Z)")


class Spoken:
    """The pieces that were said since the caller spoke last, in order.

    Some are the agent's own words. The others are sentences of the line: a greeting, a filler, a reminder.
    """

    def __init__(self, own: str = "") -> None:
        self._settled = own
        self._pieces: list[tuple[str, bool]] = []

    def add(self, text: str, *, own: bool) -> None:
        self._pieces.append((text, own))

    def settle(self) -> None:
        """What was said so far has been played."""
        self._settled, self._pieces = self.own, []

    @property
    def own(self) -> str:
        """All of the agent's own words."""
        return self._settled + "".join(text for text, own in self._pieces if own)

    def own_heard(self, heard: str) -> str:
        """The beginning of the agent's own words that the caller heard, with the agent's spelling.

        `heard` is what the line played until the interruption: all that was said, or the end of it, as the sentence
        that was being played. White space, punctuation and case may differ. Where it deviates from what was said, such
        as in numbers, words are counted. What was never said was not heard.
        """
        end = heard_until([text for text, _ in self._pieces], heard[:MAX_HEARD])
        kept = [self._settled]
        for text, own in self._pieces:
            if own:
                kept.append(text[: max(end, 0)])
            end -= len(text)
        return "".join(kept)


def heard_until(said: Sequence[str], heard: str) -> int:
    """How many characters of the pieces `said`, joined, were played when `heard` had been."""
    text = "".join(said)
    letters, ends = _letters(text)
    words = _WORD.findall(heard)
    found = _find(letters, words)
    if found is None:
        return 0
    matched, end = found
    at = _with_punctuation(text, ends[end - 1])
    further = list(_WORD.finditer(text, at))[: len(words) - matched]
    return _with_punctuation(text, further[-1].end()) if further else at


def _find(letters: str, words: Sequence[str]) -> tuple[int, int] | None:
    """How many of the heard `words`, from the first on, were said in a row, and where the last of them ends.

    The beginning of what was said is preferred, then the earliest place.
    """
    starts = [0]
    for word in words:
        starts.append(starts[-1] + len(_letters(word)[0]))
    asked = "".join(_letters(word)[0] for word in words)
    low, high, place = 0, len(words), -1
    while low < high:  # if a longer beginning was said, so was a shorter one
        middle = (low + high + 1) // 2
        at = _place(letters, asked[: starts[middle]])
        low, high, place = (middle, high, at) if at >= 0 else (low, middle - 1, place)
    return (low, place + starts[low]) if low and starts[low] else None


def _place(letters: str, asked: str) -> int:
    return 0 if letters.startswith(asked) else letters.find(asked)


def _letters(text: str) -> tuple[str, list[int]]:
    """The letters and digits of `text` without case, and for each the end of its character in `text`."""
    letters: list[str] = []
    ends: list[int] = []
    for at, character in enumerate(text, 1):
        if character.isalnum():
            plain = character.casefold()
            letters.append(plain)
            ends.extend([at] * len(plain))
    return "".join(letters), ends


def _with_punctuation(text: str, at: int) -> int:
    """`at`, behind the punctuation that closes a word there."""
    closing = _CLOSING.match(text, at)
    return closing.end() if closing else at
