"""Continues an answer that was cut off, so that the caller gets every word once.

The caller has received the beginning of an answer, the **spoken** text. A fallback either continues directly, or first
repeats the spoken text: all of it, or a suffix. `Splice` drops the repetition.

**Comparison.** `router.stream.text_overlap` defines how texts are compared and scored. The longest repeated suffix
counts, and what follows it is new. A text that really contains the same words twice in a row loses them once.

**Minimum overlap.** A suffix counts as repeated from two words on, without a word that begins before the suffix. It
takes three words where a direct continuation is possible too, because the new text starts with a space or follows a
prefill. One word is enough, in the same case,
- where letters meet without a space and the repetition starts at a word ("good mor" + "morning", "very" + "very good"):
  a direct continuation would read "good mormorning". A word such as "murmur", cut in its middle, loses a part;
- where it is the whole spoken text ("Hello " + "Hello there"), unless it is in lower case and a direct continuation is
  possible ("very" + " very good"). A single 你 is enough where a direct continuation is not possible, a single letter
  only if it is a capital.

Shorter repetitions are passed on: a repeated word sounds like a slip, a lost word may change the meaning. A suffix of
more than `MAX_SUFFIX` normalized characters only counts when it is the whole spoken text.

**Diverging restart.** A restart that diverges after four or more equal words cannot be continued exactly. `Splice`
searches the rest for the last spoken words, and starts the new text after them. If they do not appear within one and a
half times the remaining length, the new text starts with the sentence that diverges. A restart that differs from its
first word on cannot be told from a direct continuation.

**Spaces.** A space on both sides of the seam is kept once. A missing one is inserted only where it is certain: between
the end of a sentence or clause and a letter ("Hello." + "How"). "Goo" + "d" and "the" + "next" look alike, so they
stay unchanged; instead, a fallback without prefill is asked to repeat the last words, which shows the seam.

**Buffering.** Text is held back while it matches the spoken text, or has no letter yet. A model writes much faster than
it is read aloud, so the delay is not noticeable. Once new text has begun, nothing is held back.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Literal

from router.stream.text_overlap import in_same_word, last_words, letter_kind, normalized, score, words

MAX_SUFFIX = 400
"""Normalized characters: about eighty English words."""

# Scores, in half words.
_MIN_SCORE, _MIN_SCORE_IF_DIRECT_POSSIBLE, _RESTART_SCORE = 4, 6, 8

_SENTENCE_START = re.compile(r"""[.!?…]["'”’)\]]*\s+|[。！？]["'”’）]*\s*|\n\s*""")
_END_OF_CLAUSE = re.compile(r"""(?:[^\W\d_]{2}(?P<stop>[.…])|[!?,;])["”’)\]]*\Z""")

CONTINUE = """\
The line failed while you were speaking, and your answer broke off where it ends above. Finish it. Begin with its last \
words, copied exactly as they stand below, and go straight on from there in the same language and tone. Repeat nothing \
from before them. Say nothing about the interruption or about this request.

{last_words}"""

CONTINUE_IN_CHINESE = """\
线路出了故障，你的回答在上文末尾处中断。请把它说完：先原样照抄下面这几个字（回答的最后部分），紧接着往下说，语言和语气保持不变。\
不要重复更早的内容，也不要提到中断或这个要求。

{last_words}"""


def continuation_messages(messages: Sequence[dict[str, Any]], spoken: str, *, prefill: bool) -> list[dict[str, Any]]:
    """The OpenAI messages that ask a provider to continue after `spoken`.

    A prefill is sent without trailing white space, which Anthropic refuses. Without prefill, a user message asks for
    the continuation: many providers refuse a system or assistant message in the last place. The request is Chinese
    after Chinese text, so that it does not change the language. If `spoken` is blank, the messages stay unchanged.
    """
    if not spoken.strip():
        return list(messages)
    if prefill:
        return [*messages, {"role": "assistant", "content": spoken.rstrip()}]
    chinese = re.search(r"[\u4e00-\u9fff]", spoken) and not re.search(r"[\u3040-\u30ff\uac00-\ud7af]", spoken)
    request = CONTINUE_IN_CHINESE if chinese else CONTINUE
    request = request.format(last_words=last_words(spoken, _MIN_SCORE_IF_DIRECT_POSSIBLE))
    return [*messages, {"role": "assistant", "content": spoken}, {"role": "user", "content": request}]


class Splice:
    """Filters the text of a fallback: returns only what is new after `spoken`.

    `prefilled`: the fallback received `spoken` as the beginning of its answer, so a direct continuation is likely.
    """

    def __init__(self, spoken: str, *, prefilled: bool) -> None:
        self._spoken = spoken
        self._prefilled = prefilled
        self._target = "".join(map(normalized, spoken))
        self._positions = [at for at, char in enumerate(spoken) for _ in normalized(char)]  # of `_target`, in `spoken`
        self._words = list(words(spoken))
        self._tail = spoken[self._positions[-1] + 1 :] if self._positions else spoken
        self._last_words = "".join(map(normalized, last_words(spoken, _MIN_SCORE_IF_DIRECT_POSSIBLE)))
        self._received = ""
        self._read = 0  # how much of `_received` was compared
        self._normalized = ""  # the normalized form of that
        self._first = 0  # the position of its first character in `_received`
        self._candidates: list[int] | None = None  # starts, in `_target`, of the suffixes that may be being repeated
        self._completed: int | None = None  # the suffix whose last character was repeated just now
        self._overlap = 0  # how much of `_received` is a confirmed repetition
        self._divergence: int | None = None  # where in `_received` a restart diverged
        self._search_limit = 0  # in normalized characters, for the search after that
        self._state: Literal["comparing", "searching", "joining", "passing"] = "comparing"

    def take(self, text: str) -> str:
        """Take the fallback's next piece of text; returns what the caller may have now."""
        if self._state == "passing":
            return text
        self._received += text
        # A provider that sends no letters, only white space or dashes, must not be held back for ever.
        return self._release(len(self._received) > 4 * len(self._spoken) + 200)

    def end(self, *, complete: bool = True) -> str:
        """The fallback's text has ended; returns what is new of the text held back. `complete` makes no difference."""
        return "" if self._state == "passing" else self._release(True)

    def _release(self, must_decide: bool) -> str:
        while self._state in ("comparing", "searching") and self._read < len(self._received):
            self._read_char(self._received[self._read])
        if must_decide and self._state in ("comparing", "searching"):
            if self._completed is not None:
                self._confirm(self._completed, "")
            elif not self._overlap and 0 in (self._candidates or ()):
                # It ended while it still repeated the beginning: that may be an answer of its own.
                if self._is_significant(0, _score(self._received), same_case=False):
                    self._overlap = len(self._received)
            self._state = "joining"
        return self._join(must_decide) if self._state == "joining" else ""

    def _read_char(self, char: str) -> None:
        if self._completed is not None:
            self._confirm(self._completed, char)
        self._read += 1
        if new := normalized(char):
            self._compare(new) if self._state == "comparing" else self._search(new)
        if self._state == "comparing" and self._candidates == [] and self._completed is None:
            self._state = "joining" if self._overlap or self._divergence is None else "searching"

    def _compare(self, new: str) -> None:
        """Drop the candidates that the new characters do not match."""
        if self._candidates is None:
            self._first = self._read - 1
            recent = range(max(1, len(self._target) - MAX_SUFFIX), len(self._target))
            matching = [at for at in (0, *recent) if self._target.startswith(new, at)]
            self._candidates = [at for at in matching if self._is_significant(at, self._suffix_score(at))]
        length, self._normalized = len(self._normalized), self._normalized + new
        matching = [at for at in self._candidates if self._target.startswith(new, at + length)]
        restarted = 0 in self._candidates and 0 not in matching
        if restarted and _score(self._received[: self._read - 1]) >= _RESTART_SCORE:
            self._divergence = self._read - 1
            self._search_limit = length + (len(self._target) - length) * 3 // 2 + 24
        complete = len(self._target) - len(self._normalized)
        self._completed = complete if complete in matching else None
        self._candidates = [at for at in matching if at != complete]

    def _confirm(self, at: int, following: str) -> None:
        """Accept the completed suffix as a repetition if it is significant. `following` may continue its last word."""
        suffix = self._suffix(at)
        same_case = self._received[self._first : self._read] == suffix
        in_word = in_same_word(suffix[-1], following)
        if self._is_significant(at, self._suffix_score(at), same_case=same_case, in_word=in_word):
            self._overlap = self._read
        self._completed = None

    def _search(self, new: str) -> None:
        """Look for the last spoken words."""
        self._normalized += new
        if self._normalized.endswith(self._last_words):
            self._overlap = self._read
        if self._overlap or len(self._normalized) > self._search_limit:
            self._state = "joining"

    def _suffix(self, at: int) -> str:
        """The spoken text from this normalized character to the last one."""
        return self._spoken[self._positions[at] : len(self._spoken) - len(self._tail)]

    def _suffix_score(self, at: int) -> int:
        """The score of repeating this suffix. A word that begins before it may match by coincidence."""
        return score(word for begin, word in self._words if begin >= self._positions[at])

    def _is_significant(self, at: int, found: int, *, same_case: bool = True, in_word: bool = False) -> bool:
        """Whether the score `found` is enough to count the suffix at `at` as repeated.

        `in_word`: the repetition ends inside a word or number.
        """
        if in_word and self._tail:
            return False  # "No." + " Nothing"
        seen = self._spoken.rstrip() if self._prefilled else self._spoken
        letters_meet = letter_kind(seen[-1:]) == letter_kind(self._received[:1]) == "spaced"
        direct_possible = self._received[:1].isspace() or (self._prefilled and not letters_meet)
        if found >= (_MIN_SCORE_IF_DIRECT_POSSIBLE if direct_possible else _MIN_SCORE):
            return True
        suffix = self._suffix(at)
        if not same_case or (len(suffix) == 1 and letters_meet and not (at == 0 and suffix.isupper())):
            return False
        if at == 0 and direct_possible:
            spoken = [word for _, word in self._words]
            # A word that was cut does not count, unless it also appears whole ("I, i").
            cut = in_word and letter_kind(suffix[-1]) and spoken.count(spoken[-1]) == 1
            whole_words = found - 2 if cut else found
            return whole_words >= 2 and not suffix[0].islower()
        if at == 0:
            return found > 0
        return letters_meet and found > 0 and any(begin == self._positions[at] for begin, _ in self._words)

    def _join(self, must_decide: bool) -> str:
        """The new text, with the right space before it; "" while that cannot be decided."""
        if self._overlap:
            new = self._received[self._overlap :]
            letter = next((at for at, char in enumerate(new) if normalized(char)), None)
            if letter is None and not must_decide and not new.startswith(self._tail):
                return ""
            gap = new[:letter]
            new = _without(self._tail, gap) + new[len(gap) :]
        elif self._divergence is not None:
            starts = [found.end() for found in _SENTENCE_START.finditer(self._received, 0, self._divergence)]
            new = self._received[starts[-1] if starts else 0 :].lstrip()
            if not self._spoken[-1].isspace() and letter_kind(new[:1]) != "unspaced":
                new = f" {new}"
        else:
            new = _continued(self._spoken, self._received, self._prefilled)
        self._state = "passing"
        return new


def _score(text: str) -> int:
    return score(word for _, word in words(text))


def _continued(spoken: str, text: str, prefilled: bool) -> str:
    """The text of a direct continuation, with the right space before it."""
    if prefilled or not spoken.strip():
        # The fallback did not get the trailing white space, so it sends its own.
        bare = text.lstrip()
        text = _without(spoken[len(spoken.rstrip()) :], text[: len(text) - len(bare)]) + bare
    elif spoken.endswith(" "):
        text = text.lstrip(" ")
    clause = _END_OF_CLAUSE.search(spoken)
    if not clause or letter_kind(text[:1]) != "spaced" or "/" in spoken.split()[-1]:
        return text
    # A full stop before a small letter may belong to a name ("example.com"); one in "U.S." has one letter before it.
    return text if clause["stop"] and not text[0].isupper() else f" {text}"


def _without(tail: str, gap: str) -> str:
    """What is new in the `gap` before the new words, given the `tail` after the last spoken word."""
    if gap.startswith(tail):
        return gap[len(tail) :]
    return "" if tail.startswith(gap) or tail[-1].isspace() else gap[len(gap.rstrip()) :]
