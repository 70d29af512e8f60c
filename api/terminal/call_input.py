"""Reads a line that is typed during a phone call: words to say, or a command. Pure.

A line is a command if it starts with a slash and a command's name; all else is said.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from api.rehearsal.phone_line import KEYS

COMMANDS: Final = {
    "dial": ("/dial 12#", f"press keys: {KEYS}"),
    "hangup": ("/hangup", "end the call"),
    "help": ("/help", "this list"),
}
"""Usage and meaning of each command."""

ALIASES: Final = {"exit": "hangup", "quit": "hangup", "hang": "hangup", "?": "help"}


@dataclass(frozen=True, slots=True)
class Say:
    """Words for the agent; none if the line is empty."""

    text: str


@dataclass(frozen=True, slots=True)
class Dial:
    """Keys to press."""

    keys: str


@dataclass(frozen=True, slots=True)
class Misread:
    """A line that is neither; the message says why."""

    message: str


class HangUp:
    """End the call."""


class Help:
    """List the commands."""


def read_call_line(line: str) -> Say | Dial | HangUp | Help | Misread:
    """What the caller does with this line."""
    text = line.strip()
    if not text.startswith("/"):
        return Say(text)
    word, _, rest = text.partition(" ")
    name = word[1:].lower()
    match ALIASES.get(name, name):
        case "dial":
            return _dial("".join(rest.split()))
        case "hangup":
            return HangUp()
        case "help":
            return Help()
    close = get_close_matches(name, COMMANDS, 1, cutoff=0.6)
    return Misread(f"There is no command {word}. Did you mean /{close[0]}?") if close else Say(text)


def _dial(keys: str) -> Dial | Misread:
    if not keys or set(keys) - set(KEYS):
        return Misread(f"The keys of a phone are {KEYS}: /dial 12#")
    return Dial(keys)
