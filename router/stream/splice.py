"""Continues an answer that was cut after text of it had gone to the caller, so that every word is said once.

**Comparing.** A fallback either goes on, or first repeats what was spoken: all of it, or its last words. Both are
compared as `router.stream.text_overlap` says. What follows the repetition is new. Of several repetitions the longest
counts, so a text that really says the same words twice in a row loses them once.

**An ending of the spoken text is believed to be repeated** from two words on, not counting one that begins before it;
from three when going on fits as well, because the new text brings its own space or followed a prefill. One word is
enough, in the same case,
- where letters meet with no space between them and the repetition starts with the word ("good mor" + "morning",
  "very" + "very good"): going on would mean "good mormorning". A word such as "murmur", cut in its middle, loses;
- where that is all that was spoken ("Hello " + "Hello there"), unless it is in small letters and going on fits
  ("very" + " very good"). A single 你 will do where going on does not fit, a single letter only if it is a capital.

What is less is passed on: a repeated word is heard as a slip, a lost one may be lost sense. An ending of more than
`LONGEST_ENDING` units is believed only when it is the whole.

**A restart that turns to other words**, after four or more that were the same, cannot be continued faithfully. The last
words of the spoken text are looked for in what follows, and the new text starts behind them. If they have not come
after one and a half times the length that was left, the new text starts with the sentence that differs. A restart in
other words from its beginning cannot be told from going on.

**Spaces.** A blank on both sides of the seam is said once. A missing one is put in only where it is certain: between
the end of a sentence or clause and a letter ("Hello." + "How"). "Goo" + "d" and "the" + "next" look alike, so they
stay as they are; instead, a fallback without prefill is asked to begin with the last words again, which shows the seam.

**Holding back.** Text waits while it repeats the spoken text, letter by letter, or has no letter yet. A fallback writes
many times faster than anybody speaks. Once new text has begun, nothing waits.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Literal

from router.stream.text_overlap import evidence, goes_on, last_words, script, units, words

LONGEST_ENDING = 400
"""Units of the spoken text: about eighty English words."""

# Evidence, in half words.
_ENOUGH, _ENOUGH_WHEN_GOING_ON_FITS, _RESTART = 4, 6, 8

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
    """The OpenAI messages that ask a provider to go on after `spoken`.

    A prefill has no white space at its end: Anthropic refuses it. Without prefill, the request comes from the user:
    many providers refuse a system message, or an assistant's, in the last place. Chinese is asked for in Chinese, so
    that the request does not change the language. Where nothing but white space was spoken, the messages stay.
    """
    if not spoken.strip():
        return list(messages)
    if prefill:
        return [*messages, {"role": "assistant", "content": spoken.rstrip()}]
    chinese = re.search(r"[\u4e00-\u9fff]", spoken) and not re.search(r"[\u3040-\u30ff\uac00-\ud7af]", spoken)
    request = CONTINUE_IN_CHINESE if chinese else CONTINUE
    request = request.format(last_words=last_words(spoken, _ENOUGH_WHEN_GOING_ON_FITS))
    return [*messages, {"role": "assistant", "content": spoken}, {"role": "user", "content": request}]


class Splice:
    """Takes what the fallback says and gives what is new after `spoken`.

    `prefilled`: the fallback got `spoken` as the beginning of its own answer, so that going on is the likeliest.
    """

    def __init__(self, spoken: str, *, prefilled: bool) -> None:
        self._spoken = spoken
        self._prefilled = prefilled
        self._core = "".join(map(units, spoken))
        self._places = [place for place, char in enumerate(spoken) for _ in units(char)]  # of the units, in `spoken`
        self._words = list(words(spoken))
        self._tail = spoken[self._places[-1] + 1 :] if self._places else spoken
        self._last_words = "".join(map(units, last_words(spoken, _ENOUGH_WHEN_GOING_ON_FITS)))
        self._heard = ""
        self._read = 0  # how much of `_heard` was compared
        self._said = ""  # the units of that
        self._first = 0  # the place of the first of them
        self._endings: list[int] | None = None  # where in `_core` begins what `_said` may be repeating
        self._ended: int | None = None  # the ending whose last unit was repeated just now
        self._repeated = 0  # how much of `_heard` is a repetition that is believed
        self._differs: int | None = None  # where in `_heard` a restart turned to other words
        self._limit = 0  # of the units said, for the search after that
        self._state: Literal["comparing", "seeking", "joining", "open"] = "comparing"

    def take(self, text: str) -> str:
        """Take the next piece of the fallback's text; what the caller may have of it now comes back."""
        if self._state == "open":
            return text
        self._heard += text
        # A provider that sends no letters, only white space or dashes, must not be kept for ever.
        return self._release(len(self._heard) > 4 * len(self._spoken) + 200)

    def end(self) -> str:
        """The fallback has ended; what was held back and is new comes back."""
        return "" if self._state == "open" else self._release(True)

    def _release(self, must_decide: bool) -> str:
        while self._state in ("comparing", "seeking") and self._read < len(self._heard):
            self._hear(self._heard[self._read])
        if must_decide and self._state in ("comparing", "seeking"):
            if self._ended is not None:
                self._judge(self._ended, "")
            elif not self._repeated and 0 in (self._endings or ()):
                # It stopped while it still repeated the beginning: that may be an answer of its own.
                if self._enough(0, _evidence(self._heard), same_case=False):
                    self._repeated = len(self._heard)
            self._state = "joining"
        return self._join(must_decide) if self._state == "joining" else ""

    def _hear(self, char: str) -> None:
        if self._ended is not None:
            self._judge(self._ended, char)
        self._read += 1
        if new := units(char):
            self._compare(new) if self._state == "comparing" else self._seek(new)
        if self._state == "comparing" and self._endings == [] and self._ended is None:
            self._state = "joining" if self._repeated or self._differs is None else "seeking"

    def _compare(self, new: str) -> None:
        """Keep the endings that the new units go on repeating."""
        if self._endings is None:
            self._first = self._read - 1
            recent = range(max(1, len(self._core) - LONGEST_ENDING), len(self._core))
            same = [at for at in (0, *recent) if self._core.startswith(new, at)]
            self._endings = [at for at in same if self._enough(at, self._evidence(at))]
        said, self._said = len(self._said), self._said + new
        repeated = [at for at in self._endings if self._core.startswith(new, at + said)]
        if 0 in self._endings and 0 not in repeated and _evidence(self._heard[: self._read - 1]) >= _RESTART:
            self._differs = self._read - 1
            self._limit = said + (len(self._core) - said) * 3 // 2 + 24
        whole = len(self._core) - len(self._said)
        self._ended = whole if whole in repeated else None
        self._endings = [at for at in repeated if at != whole]

    def _judge(self, at: int, following: str) -> None:
        """Believe the repetition of that ending, or not. `following` is the next character: it may go on a word."""
        ending = self._ending(at)
        same_case = self._heard[self._first : self._read] == ending
        broken = goes_on(ending[-1], following)
        if self._enough(at, self._evidence(at), same_case=same_case, broken=broken):
            self._repeated = self._read
        self._ended = None

    def _seek(self, new: str) -> None:
        """Look for the last words of the spoken text."""
        self._said += new
        if self._said.endswith(self._last_words):
            self._repeated = self._read
        if self._repeated or len(self._said) > self._limit:
            self._state = "joining"

    def _ending(self, at: int) -> str:
        """The spoken text from that unit to the last one."""
        return self._spoken[self._places[at] : len(self._spoken) - len(self._tail)]

    def _evidence(self, at: int) -> int:
        """What the repetition of that ending says. The rest of a word that begins before it may be a coincidence."""
        return evidence(word for begin, word in self._words if begin >= self._places[at])

    def _enough(self, at: int, found: int, *, same_case: bool = True, broken: bool = False) -> bool:
        """Whether the evidence found says that the ending from that unit on is repeated.

        `broken`: the repetition ends within a word or a number.
        """
        if broken and self._tail:
            return False  # "No." + " Nothing"
        seen = self._spoken.rstrip() if self._prefilled else self._spoken
        letters_meet = script(seen[-1:]) == script(self._heard[:1]) == "spaced"
        going_on_fits = self._heard[:1].isspace() or (self._prefilled and not letters_meet)
        if found >= (_ENOUGH_WHEN_GOING_ON_FITS if going_on_fits else _ENOUGH):
            return True
        ending = self._ending(at)
        if not same_case or (len(ending) == 1 and letters_meet and not (at == 0 and ending.isupper())):
            return False
        if at == 0 and going_on_fits:
            spoken = [word for _, word in self._words]
            # A word that was cut says nothing, unless it is there in whole too ("I, i").
            cut = broken and script(ending[-1]) and spoken.count(spoken[-1]) == 1
            whole_words = found - 2 if cut else found
            return whole_words >= 2 and not ending[0].islower()
        if at == 0:
            return found > 0
        return letters_meet and found > 0 and any(begin == self._places[at] for begin, _ in self._words)

    def _join(self, must_decide: bool) -> str:
        """What is new, with the right space before it; "" while that is not yet known."""
        if self._repeated:
            new = self._heard[self._repeated :]
            letter = next((place for place, char in enumerate(new) if units(char)), None)
            if letter is None and not must_decide and not new.startswith(self._tail):
                return ""
            gap = new[:letter]
            new = _without(self._tail, gap) + new[len(gap) :]
        elif self._differs is not None:
            starts = [found.end() for found in _SENTENCE_START.finditer(self._heard, 0, self._differs)]
            new = self._heard[starts[-1] if starts else 0 :].lstrip()
            if not self._spoken[-1].isspace() and script(new[:1]) != "unspaced":
                new = f" {new}"
        else:
            new = _following(self._spoken, self._heard, self._prefilled)
        self._state = "open"
        return new


def _evidence(text: str) -> int:
    return evidence(word for _, word in words(text))


def _following(spoken: str, text: str, prefilled: bool) -> str:
    """The text of a fallback that goes on, with the right space before it."""
    if prefilled or not spoken.strip():
        # This fallback never saw the white space at the end, so that it brings its own.
        bare = text.lstrip()
        text = _without(spoken[len(spoken.rstrip()) :], text[: len(text) - len(bare)]) + bare
    elif spoken.endswith(" "):
        text = text.lstrip(" ")
    clause = _END_OF_CLAUSE.search(spoken)
    if not clause or script(text[:1]) != "spaced" or "/" in spoken.split()[-1]:
        return text
    # A full stop before a small letter may belong to a name ("example.com"); one in "U.S." has one letter before it.
    return text if clause["stop"] and not text[0].isupper() else f" {text}"


def _without(tail: str, gap: str) -> str:
    """What is new in the `gap` before the new words, given the `tail` that was spoken after the last word."""
    if gap.startswith(tail):
        return gap[len(tail) :]
    return "" if tail.startswith(gap) or tail[-1].isspace() else gap[len(gap.rstrip()) :]
