"""Words: pieces of text are cut at word ends, and nothing of them is lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.calls.words import MAX_WORD, Words


def cut(*pieces: str) -> list[str]:
    words = Words()
    return [*(whole for each in pieces if (whole := words.cut(each))), *filter(None, [words.rest()])]


@pytest.mark.parametrize(
    ("pieces", "whole"),
    [
        (["Good", " morning", " and", " thanks."], ["Good", " morning", " and thanks."]),
        (["The", " reser", "vation", " is"], ["The", " reservation", " is"]),
        (["It is ", "ready. ", "Bye"], ["It is", " ready.", " Bye"]),
        (["It costs 3", ".5", " euros,"], ["It costs", " 3.5 euros,"]),
        (["I don", "'", "t know"], ["I", " don't", " know"]),
        (["你好", "，很高", "兴"], ["你好", "，很高", "兴"]),
        (["สวัส", "ดี"], ["สวัส", "ดี"]),
        (["说 hel", "lo 吧"], ["说", " hello 吧"]),
    ],
)
def test_words_leave_whole(pieces: list[str], whole: list[str]) -> None:
    assert cut(*pieces) == whole


def test_the_first_word_does_not_wait() -> None:
    words = Words()
    assert words.cut("Hel") == "Hel"
    assert words.cut("lo wor") == "lo"
    assert words.rest() == " wor"
    assert words.cut("Again") == "Again"


def test_what_is_too_long_for_a_word_does_not_wait() -> None:
    words = Words()
    assert words.cut("See") == "See"
    assert words.cut(" " + "x" * MAX_WORD) == ""
    assert len(words.cut("x")) == MAX_WORD + 2


@given(st.lists(st.text("ab 1.,'-你\n", min_size=1, max_size=6), max_size=20))
def test_nothing_is_lost_and_no_word_is_cut(pieces: list[str]) -> None:
    whole = cut(*pieces)
    text = "".join(whole)
    assert text == "".join(pieces)
    at = 0
    for each in whole[:-1]:
        at += len(each)
        if each is not whole[0]:
            assert not (text[at - 1] in "ab" and text[at] in "ab"), whole
