"""Reads a line as a command or as a message. Pure.

A line is a command if it starts with a slash and a command's name. Without the slash it is one only if the whole line
has one of the command's exact forms: `history` and `history 5` are commands, `history is fun` is a message. A line that
starts with a space is always a message.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

MODES: Final = ("stream", "normal")
TTL: Final = re.compile(r"(\d{1,12})([smhd]?)")
UNITS: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
NEVER: Final = "never"
NUMBER: Final = r"\d{1,4}"


@dataclass(frozen=True, slots=True)
class CommandForm:
    """`usage` and `meaning` are for the help. `exact` matches the arguments that need no slash."""

    usage: str
    meaning: str
    exact: str = ""


COMMANDS: Final = {
    "status": CommandForm("status", "the session, its status, and what it waits for"),
    "new": CommandForm("new", "begin a new session"),
    "sessions": CommandForm("sessions [N]", "list your sessions, or open one by number or id", NUMBER),
    "history": CommandForm("history [N]", "show the last N messages (20)", NUMBER),
    "model": CommandForm("model [NAME]", "list the models, or choose one; `default` leaves it to the server"),
    "mode": CommandForm("mode [stream|normal]", "show answers as they come, or when they are whole", "|".join(MODES)),
    "ttl": CommandForm("ttl [TIME|never]", "when the session expires: 600, 30m, 12h, 7d", rf"{TTL.pattern}|{NEVER}"),
    "memory": CommandForm(
        "memory [add|find|forget]",
        "what is remembered of you: `memory add I like tea`, `memory forget 1`",
        rf"(?:add|find) .+|forget {NUMBER}",
    ),
    "task": CommandForm(
        "task [run|show|cancel]",
        "turns in the background: `task run TEXT`, `task show 1`",
        rf"run .+|(?:show|cancel) {NUMBER}",
    ),
    "persona": CommandForm("persona [N|off]", "list the personas, or talk with one in a new session", rf"{NUMBER}|off"),
    "help": CommandForm("help", "this list"),
    "exit": CommandForm("exit", "leave; the session stays"),
}
ALIASES: Final = {"quit": "exit", "?": "help"}


@dataclass(frozen=True, slots=True)
class Command:
    """A command of COMMANDS with the rest of its line."""

    name: str
    argument: str = ""


@dataclass(frozen=True, slots=True)
class Unknown:
    """A line with a slash that is close to a command."""

    word: str
    meant: str


def read_line(line: str, models: Collection[str] = ()) -> Command | Unknown | str:
    """The command in `line`, or the message to send, which may be empty. `models` are the names that need no slash."""
    text = line.strip()
    if line.startswith((" ", "\t")):
        return text
    word, _, argument = text.partition(" ")
    argument = argument.strip()
    name = word.lower().removeprefix("/")
    name = ALIASES.get(name, name)
    if name in COMMANDS:
        if word.startswith("/") or _is_exact(name, argument, models):
            return Command(name, argument)
        return text
    if word.startswith("/") and (meant := _meant(name)):
        return Unknown(word, f"/{meant}")
    return text


def read_ttl(text: str) -> int | None:
    """Seconds, or None for never. Raises ValueError."""
    if text == NEVER:
        return None
    match = TTL.fullmatch(text)
    if match is None or int(match[1]) == 0:
        raise ValueError("A time is a whole number of seconds from 1, such as 600, or 30m, 12h, 7d, or `never`.")
    return int(match[1]) * UNITS[match[2]]


def _meant(name: str) -> str | None:
    """The command that `name` begins or misspells."""
    begun = [each for each in COMMANDS if name and each.startswith(name)]
    return next(iter(begun or get_close_matches(name, COMMANDS, 1, cutoff=0.7)), None)


def _is_exact(name: str, argument: str, models: Collection[str]) -> bool:
    if not argument:
        return True
    if name == "model":
        return argument in models or argument == "default"
    return re.fullmatch(COMMANDS[name].exact, argument) is not None
