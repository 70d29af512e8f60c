"""What the caller has said and no turn has taken yet. Pure."""

from __future__ import annotations

import re
from typing import Final

from agent.calls.words import WITHOUT_SPACES

MAX_WAITING: Final = 20_000
"""Characters of several texts that wait. Nobody says as much before a turn begins."""

_NEW_WORD: Final = re.compile(rf"\W*\Z|[\W{WITHOUT_SPACES}]")


class CallerWords:
    """The texts that wait for a turn, oldest first. Of too many the newest are kept.

    A line may repeat, with more words, what the caller has said since the agent's last words. Then the longer text
    takes the place of the shorter one. If a turn has taken that one, the next turn's message `replaces` its message.
    That is not so if the turn has acted for it (`keep`): then only the further words are asked.
    """

    def __init__(self) -> None:
        self._waiting: list[str] = []
        self._taken: list[str] = []
        self._said = ""
        self._kept = ""
        self._has_acted = False
        self.replaces = False

    def __bool__(self) -> bool:
        return bool(self._waiting)

    @property
    def text(self) -> str:
        return " ".join(self._waiting)

    def add(self, text: str) -> None:
        """The caller has said `text`."""
        self._said, self._kept = text, ""
        self._waiting.append(text)
        while len(self._waiting) > 1 and sum(map(len, self._waiting)) > MAX_WAITING:
            del self._waiting[0]

    def repeat(self, text: str) -> None:
        """The caller has said `text` since the agent's last words, with what was added or repeated before."""
        if self._waiting:
            self._waiting.pop()
        elif self._has_acted:
            self._kept = self._said
        else:
            self._waiting, self.replaces = self._taken[:-1], True
        self._said = text
        self._waiting.append(rest_of(text, self._kept))

    def take(self) -> None:
        """A turn has taken all that waits."""
        self._taken, self._waiting = self._waiting, []
        self.replaces = self._has_acted = False

    def keep(self) -> None:
        """The turn has called a tool, which may have changed something."""
        self._has_acted = True

    def drop(self) -> None:
        """What waits is not asked any more."""
        self._waiting.clear()


def rest_of(text: str, before: str) -> str:
    """What follows in `text` after the words of `before`; all of it if it does not begin with them, or ends with them.

    White space, punctuation and case may differ.
    """
    at = _end_of(before, text)
    return text if at is None else text[at:].lstrip(" ,.;:!?。，、！？") or text


def begins_with(text: str, before: str) -> bool:
    """Whether `text` begins with the words of `before`, of which there is one at least."""
    return bool(_end_of(before, text))


def _end_of(before: str, text: str) -> int | None:
    """Where the words of `before` end in `text`; None if it does not begin with them."""
    at = 0
    for letter in filter(str.isalnum, before.casefold()):
        while at < len(text) and not text[at].isalnum():
            at += 1
        if text[at : at + 1].casefold() != letter:
            return None
        at += 1
    return at if at == 0 or _NEW_WORD.match(text, at) else None
