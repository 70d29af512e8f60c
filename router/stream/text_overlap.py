"""Compares texts, and scores how significant it is that they agree.

**Normalized form.** Only letters and digits are compared, case-folded and decomposed (NFKD). White space, punctuation,
emoji and quotation marks are ignored, since they often change when a model repeats a text.

**Score.** Counted in half words. Each distinct word scores 2, so "no no no" scores 2; a word of ten letters or more
scores 4. A Chinese, Japanese, Thai, Lao, Khmer or Burmese character scores 1. Digits and emoji score 0, because they
often recur ("555 55").
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import dropwhile, groupby
from typing import Literal
from unicodedata import category, normalize

LetterKind = Literal["", "spaced", "unspaced"]

_UNSPACED = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)
_APOSTROPHES = "'’"


@lru_cache(maxsize=4096)
def normalized(char: str) -> str:
    """The normalized form of a character: empty, one character, or several ("ß")."""
    parts = normalize("NFKD", char.casefold())
    return "".join(part for part in parts if category(part)[0] in "LMN")


def letter_kind(char: str) -> LetterKind:
    """Whether a letter's script puts spaces between words; "" when `char` is not a letter."""
    if not char or category(char)[0] not in "LM":
        return ""
    return "unspaced" if _UNSPACED.match(char) else "spaced"


def in_same_word(char: str, following: str) -> bool:
    """Whether two adjacent characters belong to one word or number."""
    return letter_kind(char) == letter_kind(following) == "spaced" or (char.isdigit() and following.isdigit())


def words(text: str) -> Iterator[tuple[int, str]]:
    """The words with their positions. In scripts without spaces, each character is a word."""
    kinds = groupby(enumerate(text), lambda each: "spaced" if each[1] in _APOSTROPHES else letter_kind(each[1]))
    for kind, run in kinds:
        chars = list(dropwhile(lambda each: each[1] in _APOSTROPHES, run))
        if kind == "spaced" and chars:
            yield chars[0][0], "".join(char for _, char in chars).casefold()
        elif kind == "unspaced":
            yield from chars


def score(repeated: Iterable[str]) -> int:
    """The score of a repetition of these words, in half words."""
    return sum(1 if _UNSPACED.match(word) else 4 if len(word) >= 10 else 2 for word in set(repeated))


def last_words(text: str, min_score: int) -> str:
    """The shortest suffix of whole words with at least this score; all of `text` when it scores less."""
    distinct = set[str]()
    for begin, word in reversed(list(words(text))):
        distinct.add(word)
        if score(distinct) >= min_score:
            return text[begin:].rstrip()
    return text.strip()
