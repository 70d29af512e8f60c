"""A turn on the screen and in a pipe: what stays of it when it has ended."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO

import pytest
from rich.console import Console

from api.terminal import render
from api.terminal.answer_view import LiveAnswer, PlainAnswer
from api.terminal.turn_parts import CallPart, Outcome, TextPart
from api.terminal.updates import Restarted, Update, Waiting

DONE = Outcome("completed", parts=[TextPart("Hello, **Ada**.")], usage={"total_tokens": 3}, model="fast")


def piped(*updates: Update) -> str:
    file = StringIO()
    PlainAnswer(Console(file=file, theme=render.THEME, soft_wrap=True)).follow(iter(updates))
    return file.getvalue()


def on_screen(*updates: Update) -> str:
    """All that is written; the last part is what stays."""
    file = StringIO()
    console = Console(file=file, theme=render.THEME, force_terminal=True, no_color=True, width=60, height=10)
    LiveAnswer(console).follow(iter(updates))
    return file.getvalue()


def test_a_pipe_gets_the_text_as_it_comes_and_once() -> None:
    said = piped(TextPart("Hello, "), TextPart("**Ada**."), DONE)
    assert said.splitlines()[0] == "Hello, **Ada**."
    assert said.count("Hello") == 1 and "fast" in said


def test_a_pipe_gets_a_whole_answer_that_did_not_stream() -> None:
    assert piped(DONE).splitlines()[0] == "Hello, **Ada**."


def test_a_pipe_gets_the_whole_answer_after_a_lost_connection() -> None:
    said = piped(TextPart("Hel"), Waiting("The connection broke."), DONE).splitlines()
    assert said[:3] == ["Hel", "The connection broke.", "Hello, **Ada**."]


def test_a_pipe_gets_an_answer_once_that_streams_after_an_attempt_that_reached_nobody() -> None:
    said = piped(Waiting("The server cannot be reached."), TextPart("Hello, "), TextPart("**Ada**."), DONE)
    assert said.splitlines()[:2] == ["The server cannot be reached.", "Hello, **Ada**."]
    assert said.count("Hello") == 1


@pytest.mark.parametrize("streamed", [True, False])
def test_a_pipe_gets_each_call_once_and_is_told_which_are_hand_offs(streamed: bool) -> None:
    transfer = CallPart("c2", "transferCall", {"to": "desk"}, result="Transferred.", handed_off=True)
    parts = [CallPart("c1", "multiply", {"a": 6}, result="42"), TextPart("It is 42."), transfer]
    events = [
        CallPart("c1", "multiply", {"a": 6}),
        TextPart("It is 42."),
        CallPart("c2", "transferCall", {"to": "desk"}),
    ]
    said = piped(*(events if streamed else []), Outcome("completed", parts=parts)).splitlines()
    assert said[:3] == ["Tool: multiply a: 6", "It is 42.", "Hand-off: transferCall to: desk"]
    assert len(said) == 4


def test_a_pipe_gets_the_calls_of_a_turn_that_was_stopped() -> None:
    def stopped() -> Iterator[Update]:
        yield CallPart("c1", "multiply", {"a": 6})
        raise KeyboardInterrupt

    file = StringIO()
    with pytest.raises(KeyboardInterrupt):
        PlainAnswer(Console(file=file, theme=render.THEME, soft_wrap=True)).follow(stopped())
    assert file.getvalue() == "Tool: multiply a: 6\n"


def restarted(outcome: Outcome) -> Iterator[Update]:
    yield CallPart("c1", "multiply", {"a": 6})
    yield TextPart("It is")
    yield Restarted("The worker stopped.")
    yield TextPart("It is ")
    yield TextPart("42.")
    yield outcome


def test_the_screen_drops_the_text_that_another_worker_repeats() -> None:
    said = on_screen(*restarted(Outcome("error", "It failed.")))
    assert said.rpartition("\x1b[?25h")[2].count("It is") == 1 and "multiply" in said


def test_a_pipe_is_told_why_a_text_is_repeated() -> None:
    said = piped(*restarted(Outcome("completed", parts=[TextPart("It is 42.")]))).splitlines()
    assert said[:4] == ["Tool: multiply a: 6", "It is", "The worker stopped.", "It is 42."]
    assert len(said) == 5


def test_the_screen_keeps_the_answer_as_markdown() -> None:
    assert "Hello, \x1b[1mAda\x1b[0m." in on_screen(TextPart("Hello, "), TextPart("**Ada**."), DONE)


def test_the_screen_keeps_the_results_of_the_tools() -> None:
    call = CallPart("c1", "multiply", {"a": 6}, result="42")
    outcome = Outcome("completed", parts=[call, TextPart("It is 42.")])
    said = on_screen(CallPart("c1", "multiply", {"a": 6}), TextPart("It is 42."), outcome)
    assert said.rindex("✓") < said.rindex("42") and "multiply" in said


def test_a_stopped_answer_stays_on_the_screen() -> None:
    def stopped() -> Iterator[Update]:
        yield TextPart("Hel")
        yield CallPart("c1", "multiply", {"a": 6})
        raise KeyboardInterrupt

    file = StringIO()
    console = Console(file=file, theme=render.THEME, force_terminal=True, width=60)
    with pytest.raises(KeyboardInterrupt):
        LiveAnswer(console).follow(stopped())
    kept = file.getvalue().rpartition("\x1b[?25h")[2]
    assert "Hel" in kept and "multiply" in kept and "✓" not in kept
