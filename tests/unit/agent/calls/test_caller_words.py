from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.calls.caller_words import MAX_WAITING, CallerWords, rest_of


def asked(words: CallerWords) -> str:
    """A turn takes the words."""
    text = words.text
    words.take()
    return text


def test_what_no_turn_has_taken_is_asked_together() -> None:
    words = CallerWords()
    assert not words
    words.add("Hello.")
    words.add("Is anybody there?")
    assert words
    assert (asked(words), words.replaces) == ("Hello. Is anybody there?", False)
    assert not words


def test_a_repeated_text_takes_the_place_of_the_one_that_waits() -> None:
    words = CallerWords()
    words.add("Hello.")
    words.add("My name is")
    words.repeat("My name is Ann.")
    assert (words.text, words.replaces) == ("Hello. My name is Ann.", False)


def test_a_text_that_a_turn_has_taken_is_replaced_with_all_that_the_turn_took() -> None:
    words = CallerWords()
    words.add("Hello.")
    words.add("My name is")
    asked(words)
    words.repeat("My name is Ann.")
    assert (words.text, words.replaces) == ("Hello. My name is Ann.", True)
    words.repeat("My name is Ann. And yours?")
    assert (words.text, words.replaces) == ("Hello. My name is Ann. And yours?", True)
    asked(words)
    words.add("Fine.")
    assert (words.text, words.replaces) == ("Fine.", False)


def test_of_a_text_for_which_a_tool_ran_only_the_rest_is_asked() -> None:
    words = CallerWords()
    words.add("Book the Ritz")
    asked(words)
    words.keep()
    words.repeat("Book the Ritz, for two")
    assert (words.text, words.replaces) == ("for two", False)
    asked(words)
    words.repeat("Book the Ritz, for two nights.")
    assert (words.text, words.replaces) == ("for two nights.", True)
    words.repeat("Book the Ritz, for two nights. Please!")
    assert (words.text, words.replaces) == ("for two nights. Please!", True)
    asked(words)
    words.add("Thanks.")
    words.repeat("Thanks. Goodbye.")
    assert words.text == "Thanks. Goodbye."


def test_on_a_new_connection_the_last_message_of_the_session_is_replaced() -> None:
    words = CallerWords()
    words.repeat("My name is Ann.")
    assert (words.text, words.replaces) == ("My name is Ann.", True)


def test_what_waits_can_be_dropped() -> None:
    words = CallerWords()
    words.add("Hello.")
    words.drop()
    assert not words


@pytest.mark.parametrize(
    ("text", "before", "rest"),
    [
        ("Book the Ritz for two nights.", "Book the Ritz.", "for two nights."),
        ("book the RITZ. For two.", "Book the Ritz", "For two."),
        ("Booking a room", "Book", "Booking a room"),
        ("Забронируйте номер", "Забронируй", "Забронируйте номер"),
        ("我要订房间，两晚。", "我要订房", "间，两晚。"),
        ("我要订房间，两晚。", "我要订房间。", "两晚。"),
        ("Cook the Ritz", "Book the Ritz", "Cook the Ritz"),
        ("Book the Ritz.", "Book the Ritz", "Book the Ritz."),
        ("Book", "Book the Ritz", "Book"),
        ("Book", "", "Book"),
        ("", "Book", ""),
    ],
)
def test_the_rest_is_what_follows_the_words_before(text: str, before: str, rest: str) -> None:
    assert rest_of(text, before) == rest


@given(before=st.text(), more=st.text())
def test_the_rest_is_never_empty_and_always_the_end(before: str, more: str) -> None:
    text = f"{before} {more}"
    rest = rest_of(text, before)
    assert rest
    assert text.endswith(rest)


def test_of_too_many_words_the_newest_wait() -> None:
    words = CallerWords()
    for number in range(100):
        words.add(f"{number} " + "x" * 990)
    assert words.text.startswith("80 ") and words.text.split()[-2] == "99"
    assert len(words.text) <= MAX_WAITING + 20
