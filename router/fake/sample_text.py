"""The default text of the fakes, and how they split text into tokens.

`ANSWER` has 60 words in 32 pieces. The first 25 words end at the end of a piece, so that tests can check "cut after 25
of 60 words" exactly.
"""

from __future__ import annotations

import re
from functools import lru_cache

ANSWER = (
    "Good morning and thank you for calling the front desk today. Your table for two is booked for seven this evening,"
    " right by the window, and the kitchen knows about the nut allergy. If your plans change, call us back before six"
    " and we will gladly move it. Is there anything else that I can do for you right now?"
)
WORDS = 60
WORDS_BEFORE_CUT = 25
_SINGLE = frozenset({0, 13, 20, 31})  # the pieces of one word; the other 28 have two
_PIECES = 32
# A word with the space before it, as in real tokenizers, or one Chinese, Japanese or Korean character.
_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uff00-\uffef\u3000-\u303f"
_PIECE = re.compile(rf"\s*[{_CJK}]|\s*[^\s{_CJK}]+|\s+")


def pieces_of(text: str) -> list[str]:
    """Split `text` into word-sized pieces. Joined, they are `text` again."""
    return _PIECE.findall(text)


def count_pieces(text: str) -> int:
    """The number of tokens in `text`, as the fakes count them."""
    return len(_PIECE.findall(text))


@lru_cache(maxsize=64)
def sample_pieces(tokens: int | None = None) -> tuple[str, ...]:
    """`ANSWER` in 32 pieces, or its words in exactly `tokens` pieces of one word each, repeated as needed."""
    words = pieces_of(ANSWER)
    if tokens is not None:
        return (words[0], *(" " + words[at % WORDS].lstrip() for at in range(1, tokens)))
    ends = iter(words)
    return tuple(next(ends) + ("" if at in _SINGLE else next(ends)) for at in range(_PIECES))
