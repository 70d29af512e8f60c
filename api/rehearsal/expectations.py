"""Compares what happened in a step with what the script expects. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from api.rehearsal.script_file import Expectation, Limits, Step
from api.rehearsal.speech import count_words
from config.parsing.yaml_document import KeyPath

LONGEST_QUOTE: Final = 200
"""Characters of what was heard that a message quotes."""


@dataclass(frozen=True, slots=True)
class Ending:
    """The agent ended the call; `destination` is where it was transferred, None for a hang-up."""

    destination: str | None = None

    def __str__(self) -> str:
        return f"transferred the call to {self.destination}" if self.destination else "ended the call"


@dataclass(frozen=True, slots=True)
class Happened:
    """What happened in a step. `silent_for` is how long the agent was silent before the caller gave up, in seconds."""

    text: str
    ending: Ending | None = None
    first_word: float | None = None
    silence: float | None = None
    silent_for: float | None = None


Failure = tuple[KeyPath, str]
"""The key of the step, and what is wrong."""


def failures(step: Step, happened: Happened, limits: Limits) -> Iterator[Failure]:
    """Everything that is not as the step and the limits of the script expect."""
    expected = step.expect
    if happened.silent_for is not None:
        yield (), _gave_up(step, happened, happened.silent_for)
    if step.interrupt_after is not None and happened.silence is None and happened.silent_for is None:
        yield ("interrupt_after",), _not_interrupted(step.interrupt_after, happened.text)
    yield from _text_failures(expected, happened.text)
    yield from _ending_failures(expected, happened)
    yield from _latency_failures(expected, happened, limits)


def _gave_up(step: Step, happened: Happened, seconds: float) -> str:
    if not happened.text.strip():
        return f"the agent said nothing within {seconds:g} s"
    if step.expect.ends:
        return f"the agent did not end the call within {seconds:g} s; the caller heard {_quoted(happened.text)}"
    return f"the answer did not go on for {seconds:g} s; the caller heard {_quoted(happened.text)}"


def _not_interrupted(after: int, text: str) -> str:
    words = count_words(text)
    if words >= after:
        return "nothing was interrupted: the server does not let the caller interrupt here"
    return f"nothing was interrupted: the agent said {words} words, {_quoted(text)}"


def _text_failures(expected: Expectation, text: str) -> Iterator[Failure]:
    heard = _one_line(text)
    for index, wanted in enumerate(expected.contains or ()):
        if _one_line(wanted).casefold() not in heard.casefold():
            at: KeyPath = ("expect", "contains") if len(expected.contains or ()) == 1 else ("expect", "contains", index)
            yield at, f"{_quoted(wanted)} is not in what the caller heard: {_quoted(heard)}"
    if expected.matches is not None and not re.search(expected.matches, heard):
        yield ("expect", "matches"), f"nothing matches in what the caller heard: {_quoted(heard)}"


def _ending_failures(expected: Expectation, happened: Happened) -> Iterator[Failure]:
    ending = happened.ending
    if ending is None:
        if expected.ends and happened.silent_for is None:
            yield ("expect", "end" if expected.end else "transfer"), "the agent did not end the call"
        return
    if expected.end and ending.destination is not None:
        yield ("expect", "end"), f"the agent {ending}"
    elif expected.transfer is not None and (
        ending.destination is None
        or (expected.transfer is not True and _bare(expected.transfer) != _bare(ending.destination))
    ):
        yield ("expect", "transfer"), f"the agent {ending}"
    elif not expected.ends:
        yield (), f"the agent {ending}"


def _latency_failures(expected: Expectation, happened: Happened, limits: Limits) -> Iterator[Failure]:
    for key, took in (("first_word_within", happened.first_word), ("silence_within", happened.silence)):
        own: float | None = getattr(expected, key)
        limit: float | None = own if own is not None else getattr(limits, key)
        if limit is not None and took is not None and took > limit:
            what = "first word came after" if key == "first_word_within" else "last text came"
            after = "" if key == "first_word_within" else " after the interruption"
            yield ("expect", key), f"the {what} {took:.3f} s{after}; the limit is {limit:g} s"


def _quoted(text: str) -> str:
    line = _one_line(text)
    return f'"{line}"' if len(line) <= LONGEST_QUOTE else f'"{line[:LONGEST_QUOTE]}…"'


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _bare(number: str) -> str:
    return re.sub(r"[\s().\-]", "", number).casefold()
