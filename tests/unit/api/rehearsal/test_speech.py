"""How far a voice has come in a text that still arrives."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.rehearsal.speech import Speech, count_words, end_of_word, last_word_end
from tests.support.properties import few

PIECES = st.lists(st.tuples(st.text("ab 你.", max_size=6), st.floats(0, 3), st.booleans()), max_size=8)


def spoken(pace: float, *pieces: str) -> Speech:
    speech = Speech(pace)
    for piece in pieces[:-1]:
        speech.add(piece, 0)
    speech.add(pieces[-1], 0, last=True)
    return speech


def test_a_voice_speaks_so_many_letters_a_second() -> None:
    speech = spoken(10, "Good ", "morning.")
    speech.advance(0.45)
    assert speech.heard == "Good"
    speech.advance(1.3)
    assert speech.heard == "Good morning." and speech.ended


def test_a_chinese_character_takes_as_long_as_three_letters() -> None:
    speech = spoken(10, "你好abc")
    assert speech.seconds_left == pytest.approx(0.9)
    speech.advance(0.65)
    assert speech.heard == "你好"


def test_a_voice_that_waits_for_text_does_not_hurry_afterwards() -> None:
    speech = Speech(10)
    speech.add("ab", 0)
    speech.add("cd", 5)
    assert speech.heard == "ab" and not speech.ended
    speech.advance(5.15)
    assert speech.heard == "abc"


def test_without_a_pace_everything_is_heard_when_it_comes() -> None:
    speech = Speech(0)
    speech.add("Good ", 1)
    assert speech.heard == "Good " and not speech.ended and speech.seconds_left == 0
    speech.add("morning.", 1, last=True)
    assert speech.heard == "Good morning." and speech.ended


def test_a_text_after_the_end_of_an_utterance_is_a_new_one() -> None:
    speech = spoken(10, "Hello.")
    speech.add("Bye.", 2, last=True)
    speech.advance(2.4)
    assert speech.heard == "Bye." and speech.duration == pytest.approx(0.4)


def test_an_utterance_that_is_not_spoken_yet_is_not_lost() -> None:
    speech = spoken(10, "One moment.")
    speech.add("Done.", 0.5, last=True)
    speech.advance(10)
    assert speech.heard == "One moment. Done."


def test_an_empty_end_of_an_utterance_ends_it() -> None:
    speech = Speech(10)
    speech.add("Hello.", 0)
    speech.add("", 1, last=True)
    assert speech.ended
    speech.add("", 2)
    assert speech.ended and speech.heard == "Hello."


def test_what_was_heard_ends_with_a_word() -> None:
    speech = spoken(10, "Of course. Which hotel?")
    assert speech.stop(1.35) == ("Of course.", " Which hotel?")
    assert speech.ended and speech.heard == "Of course."


def test_an_interruption_after_a_word_is_not_late() -> None:
    speech = spoken(10, "one two three four")
    assert speech.stop(1.7, end_of_word(speech.text, 2)) == ("one two", " three four")


def test_words() -> None:
    assert end_of_word("Hello, you.", 2) == 11 and end_of_word("Hello", 2) is None
    assert end_of_word("你好 ok", 2) == 2 and count_words("你好 ok") == 3
    assert last_word_end("one two", 5) == 3 and last_word_end("one", 2) == 0


def test_seconds_until_a_place_that_has_not_arrived_are_infinite() -> None:
    assert spoken(10, "abc").seconds_until(4) == math.inf


@few
@given(PIECES, st.sampled_from([0.0, 1.0, 15.0]))
def test_any_text_is_heard_in_order_once_it_has_come(pieces: list[tuple[str, float, bool]], pace: float) -> None:
    speech, now, said = Speech(pace), 0.0, ""
    for text, passed, last in pieces:
        now += passed
        speech.advance(now)
        before = speech.heard
        speech.add(text, now, last=last)
        said += text
        assert speech.text.startswith(speech.heard) and "".join(speech.text.split()) in "".join(said.split())
        assert speech.heard.startswith(before) or speech.text == text
        left = speech.seconds_left
        assert math.isfinite(left)
        assert (left > 0) == (speech.heard != speech.text)
    heard, unheard = speech.stop(now)
    assert speech.ended and speech.text == heard and "".join((heard + unheard).split()) in "".join(said.split())
