"""Cuts text that arrives in pieces at word ends, because a speech synthesizer cannot pronounce half a word."""

from __future__ import annotations

import re
from typing import Final

MAX_WORD: Final = 64
"""A longer run of characters without a space is no word, and does not wait."""

WITHOUT_SPACES: Final = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3000-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uff00-\uffef"
)
"""Scripts whose words have no spaces between them (Thai, Lao, Burmese, Khmer, Chinese, Japanese), and Korean."""

_LETTER_WITHOUT_SPACES: Final = re.compile(f"[{WITHOUT_SPACES}]")


class Words:
    """The words of one text. The first one does not wait for its end: the caller waits for a sign of life."""

    def __init__(self) -> None:
        self._held = ""
        self._has_begun = False

    def cut(self, piece: str) -> str:
        """The words that are complete with `piece`; "" if none is."""
        text = self._held + piece
        whole = text[: len(text) - len(_open_word(text))].rstrip() if text.strip() else ""
        if not whole and not self._has_begun:
            whole = text
        self._held = text[len(whole) :]
        self._has_begun = self._has_begun or bool(whole)
        return whole

    def rest(self) -> str:
        """What is left at the end of the text. The next piece begins another one."""
        rest, self._held, self._has_begun = self._held, "", False
        return rest


def _open_word(text: str) -> str:
    """The end of the text that may be the beginning of a word, also of one such as `don't`, `e-mail` or `3.5`."""
    if not text or text[-1].isspace():
        return ""
    run = text.rsplit(None, 1)[-1]
    last, before = run[-1], run[-2:-1]
    is_open = last.isalnum() or last in "'’-" or (last in ".,:" and before.isdigit())
    if not is_open or len(run) > MAX_WORD:
        return ""
    return _LETTER_WITHOUT_SPACES.split(run)[-1]
