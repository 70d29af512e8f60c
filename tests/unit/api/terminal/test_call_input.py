"""A line that is typed during a phone call."""

from __future__ import annotations

import pytest

from api.terminal.call_input import Dial, HangUp, Help, Misread, Say, read_call_line


@pytest.mark.parametrize(
    ("line", "read"),
    [
        (" Hello there ", Say("Hello there")),
        ("", Say("")),
        ("dial 12#", Say("dial 12#")),
        ("/tokens 60", Say("/tokens 60")),
        ("/dial 12#", Dial("12#")),
        ("/DIAL 1 2 *", Dial("12*")),
        ("/dial", Misread("The keys of a phone are 0123456789*#: /dial 12#")),
        ("/dial 1a", Misread("The keys of a phone are 0123456789*#: /dial 12#")),
        ("/dail 1", Misread("There is no command /dail. Did you mean /dial?")),
    ],
)
def test_a_line_is_said_or_is_a_command(line: str, read: object) -> None:
    assert read_call_line(line) == read


def test_commands_without_an_argument() -> None:
    assert all(isinstance(read_call_line(each), HangUp) for each in ("/hangup", "/exit", "/quit"))
    assert all(isinstance(read_call_line(each), Help) for each in ("/help", "/?"))
