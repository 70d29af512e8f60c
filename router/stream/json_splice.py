"""Continues a JSON answer that was cut off. `router.stream.splice` does so for words, where a space more is no harm.

A provider that must answer in JSON often starts again, perhaps with other spaces, and perhaps with another answer. Only
at its end is it certain which it did, so the new text is held back until then.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson

from config.errors import AnswerCut

MAX_OVERLAP: Final = 400
"""Characters of the spoken text that a continuation may repeat."""
MIN_OVERLAP: Final = 6
"""Letters and digits of a repetition. Fewer may stand in the JSON twice, such as 1 in [1, 1]."""

_SPACES: Final = frozenset(" \t\r\n")


def is_json(spoken: str, params: Mapping[str, Any]) -> bool:
    """Whether `spoken` is the beginning of the JSON that the request's `params` ask for.

    With stop sequences the provider may rightly end in the middle of it.
    """
    wanted = params.get("response_format")
    kind = wanted.get("type") if isinstance(wanted, Mapping) else None
    return kind in ("json_object", "json_schema") and not params.get("stop") and spoken.lstrip()[:1] in ("{", "[")


class JsonSplice:
    """Collects the text of a fallback: returns, at its end, only what is new after `spoken`.

    `prefilled`: the fallback received `spoken` as the beginning of its answer, so a direct continuation is likely.
    """

    def __init__(self, spoken: str, *, prefilled: bool) -> None:
        self._spoken = spoken
        self._prefilled = prefilled
        self._received = ""

    def take(self, text: str) -> str:
        """Take the fallback's next piece of text; returns nothing yet."""
        self._received += text
        return ""

    def end(self, *, complete: bool = True) -> str:
        """The fallback's text has ended; returns what is new. `complete`: no token limit or filter has ended it.

        Raises:
            AnswerCut: it does not complete the JSON that was spoken.
        """
        for new in self._continuations():
            if not complete or _is_valid(self._spoken + new):
                return new
        raise AnswerCut("the provider did not complete the JSON that was cut off, but sent another answer")

    def _continuations(self) -> Iterator[str]:
        """What may be new, the most likely first."""
        spoken, received = self._spoken, self._received
        spaces = spoken[len(spoken.rstrip()) :]
        if self._prefilled and received.startswith(spaces):
            yield received[len(spaces) :]  # it did not get the trailing spaces, so it sends them
        if self._prefilled:
            yield received
        if (repeated := _repeated(spoken, received)) is not None:
            yield received[repeated:]
        overlaps = [
            length
            for length in range(min(MAX_OVERLAP, len(spoken), len(received)), 0, -1)
            if spoken.endswith(received[:length])
        ]
        yield from (received[length:] for length in overlaps if _is_significant(received[:length]))
        yield received
        yield from (received[length:] for length in overlaps)


def _repeated(spoken: str, text: str) -> int | None:
    """How much of `text` is the whole spoken text again, with any spaces between values; None if it is not."""
    at, in_string, escaped = 0, False, False
    for char in spoken:
        if not in_string:
            if char in _SPACES:
                continue
            while text[at : at + 1] in _SPACES:
                at += 1
        if text[at : at + 1] != char:
            return None
        at += 1
        if in_string and escaped:
            escaped = False
        elif in_string and char == "\\":
            escaped = True
        elif char == '"':
            in_string = not in_string
    return at


def _is_significant(overlap: str) -> bool:
    return sum(map(str.isalnum, overlap)) >= MIN_OVERLAP


def _is_valid(text: str) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True
