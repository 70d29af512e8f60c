"""Compares two tellings of a text, and says how much it means that they agree.

Tellings are compared by their **units**: letters and digits, without case and with accents taken apart. White space,
punctuation, emoji and the kind of quotes do not count: they often change when a text is told again.

**Evidence** is counted in half words. A distinct word is two, so that "no no no" is two; with ten letters or more it is
four. A Chinese, Japanese, Thai, Lao, Khmer or Burmese character is one. Digits and emoji are none: they recur by right
("555 55").
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import dropwhile, groupby
from typing import Literal
from unicodedata import category, normalize

Script = Literal["", "spaced", "unspaced"]

_UNSPACED = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)
_APOSTROPHES = "'’"


@lru_cache(maxsize=4096)
def units(char: str) -> str:
    """What of a character counts in a comparison: one unit, none, or several ("ß")."""
    parts = normalize("NFKD", char.casefold())
    return "".join(part for part in parts if category(part)[0] in "LMN")


def script(char: str) -> Script:
    """Whether a letter belongs to a script with spaces between its words; "" for what is no letter."""
    if not char or category(char)[0] not in "LM":
        return ""
    return "unspaced" if _UNSPACED.match(char) else "spaced"


def goes_on(last: str, following: str) -> bool:
    """Whether the character that follows belongs to the same word or number."""
    return script(last) == script(following) == "spaced" or (last.isdigit() and following.isdigit())


def words(text: str) -> Iterator[tuple[int, str]]:
    """The words and where they begin; where no spaces separate them, the characters."""
    for kind, run in groupby(enumerate(text), lambda each: "spaced" if each[1] in _APOSTROPHES else script(each[1])):
        chars = list(dropwhile(lambda each: each[1] in _APOSTROPHES, run))
        if kind == "spaced" and chars:
            yield chars[0][0], "".join(char for _, char in chars).casefold()
        elif kind == "unspaced":
            yield from chars


def evidence(found: Iterable[str]) -> int:
    """How much a repetition of these words says, in half words."""
    return sum(1 if _UNSPACED.match(word) else 4 if len(word) >= 10 else 2 for word in set(found))


def last_words(text: str, least: int) -> str:
    """The shortest ending, in whole words, with that much evidence; all of the text when it has less."""
    distinct = set[str]()
    for begin, word in reversed(list(words(text))):
        distinct.add(word)
        if evidence(distinct) >= least:
            return text[begin:].rstrip()
    return text.strip()
