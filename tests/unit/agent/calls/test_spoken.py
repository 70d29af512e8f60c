"""Spoken: of the agent's own words, those are kept that the caller heard."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.calls.spoken import Spoken, heard_until

WORD = st.text("abcäß7你", min_size=1, max_size=5)
PUNCTUATED = st.tuples(WORD, st.sampled_from(["", ".", ",", "!", "?"])).map("".join)
PIECES = st.lists(st.tuples(PUNCTUATED, st.booleans()), min_size=1, max_size=12)


def spoken(*pieces: tuple[str, bool]) -> Spoken:
    made = Spoken()
    for text, own in pieces:
        made.add(text, own=own)
    return made


OWN, LINE = True, False


@pytest.mark.parametrize(
    ("heard", "kept"),
    [
        ("", ""),
        ("...", ""),
        ("One moment", ""),
        ("One moment. Your total is", "Your total is"),
        ("your TOTAL, is", "Your total is"),
        ("Your total is 42 euros and ten", "Your total is 42 euros, and ten"),
        ("Your total is forty-two euros and", "Your total is 42 euros, and"),
        ("Your total is 42 euros, and ten cents. Any", "Your total is 42 euros, and ten cents. Any"),
        ("Anything else?", "Your total is 42 euros, and ten cents. Anything else?"),
        ("Your total is 42 eu", "Your total is 42 eu"),
        ("Something that nobody said", ""),
        ("Your total is 42 euros and ten cents. Anything else? And much more", None),
    ],
)
def test_what_was_heard(heard: str, kept: str | None) -> None:
    said = spoken(
        ("One moment. ", LINE),
        ("Your total", OWN),
        (" is 42 euros, and", OWN),
        (" ten cents.", OWN),
        (" Anything else?", OWN),
    )
    assert said.own_heard(heard) == (said.own if kept is None else kept)


def test_a_script_without_spaces() -> None:
    said = spoken(("您的桌子", OWN), ("已预订在晚上7点。", OWN), ("还需要什么吗？", OWN))
    assert said.own_heard("您的桌子已预订") == "您的桌子已预订"
    assert said.own_heard("您的桌子已预订在晚上七点") == "您的桌子已预订在晚上7点。"


def test_words_of_the_line_are_never_the_agents() -> None:
    said = spoken(("It is", OWN), (" One moment, I look. ", LINE), ("ready.", OWN), (" Still there?", LINE))
    assert said.own == "It isready."
    assert said.own_heard("It is One moment") == "It is"
    assert said.own_heard("It is. One moment, I look. Ready. Still") == "It isready."


def test_what_was_played_before_a_reminder_stays() -> None:
    said = spoken(("It is ready.", OWN))
    said.settle()
    said.add("Are you still there? ", own=False)
    assert said.own_heard("") == "It is ready."
    assert said.own_heard("Are you") == "It is ready."


@given(PIECES, st.integers(0, 80), st.sampled_from([str.upper, str.lower, str.strip, str]))
def test_any_beginning_is_found_again(pieces: list[tuple[str, bool]], length: int, changed: object) -> None:
    assert callable(changed)
    pieces = [(f"{text} ", own) for text, own in pieces]
    text = "".join(each for each, _ in pieces)
    end = heard_until([each for each, _ in pieces], changed(text[:length]))
    letters = sum(each.isalnum() for each in text[: min(length, len(text))])
    assert sum(each.isalnum() for each in text[:end]) == letters


@given(PIECES, st.text(max_size=40))
def test_what_is_kept_is_a_beginning(pieces: list[tuple[str, bool]], heard: str) -> None:
    said = spoken(*pieces)
    assert said.own.startswith(said.own_heard(heard))


@given(st.permutations(["Alpha", "bravo,", "Café.", "7", "echo", "fünf!", "桌", "子。"]), st.data())
def test_the_sentence_that_is_played_is_found(words: list[str], data: st.DataObject) -> None:
    text = [f"{each} " for each in words]
    first = data.draw(st.integers(0, len(text) - 1))
    last = data.draw(st.integers(first, len(text) - 1))
    end = heard_until(text, " ".join(words[first : last + 1]).upper())
    assert "".join(text)[:end] == "".join(text[: last + 1]).rstrip()
