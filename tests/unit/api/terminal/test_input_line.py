"""Which lines are commands, and which are messages."""

from __future__ import annotations

import pytest

from api.terminal.input_line import Command, Unknown, read_line, read_ttl


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("status", Command("status")),
        ("new ", Command("new")),
        ("EXIT", Command("exit")),
        ("quit", Command("exit")),
        ("?", Command("help")),
        ("/status", Command("status")),
        ("history 5", Command("history", "5")),
        ("/history all of it", Command("history", "all of it")),
        ("model fast", Command("model", "fast")),
        ("/model slow", Command("model", "slow")),
        ("mode normal", Command("mode", "normal")),
        ("ttl 30m", Command("ttl", "30m")),
        ("ttl never", Command("ttl", "never")),
        ("memory add I like tea", Command("memory", "add I like tea")),
        ("memory forget 2", Command("memory", "forget 2")),
        ("task run count the hotels", Command("task", "run count the hotels")),
        ("task cancel 1", Command("task", "cancel 1")),
        ("persona 2", Command("persona", "2")),
        ("persona off", Command("persona", "off")),
    ],
)
def test_a_line_with_a_commands_exact_form_is_a_command(line: str, command: Command) -> None:
    assert read_line(line, ["fast"]) == command


@pytest.mark.parametrize(
    "line",
    [
        "history is fun",
        "status of my order?",
        "new hotels in 上海",
        "exit the building",
        "model slow",
        "model railways",
        "mode of transport",
        "memory foam",
        "task force",
        "persona non grata",
        "ttl in DNS",
        "help me",
        '/call book_hotel {"hotel_name": "如家"}',
        "/say hello",
        "/tokens 20",
        "上海天气如何？",
    ],
)
def test_a_sentence_that_begins_with_a_commands_name_is_a_message(line: str) -> None:
    assert read_line(line, ["fast"]) == line


def test_a_line_with_a_space_in_front_is_a_message() -> None:
    assert read_line(" status") == "status"
    assert read_line(" /exit") == "/exit"


def test_an_empty_line_is_an_empty_message() -> None:
    assert read_line("") == read_line("   ") == ""


def test_a_misspelled_command_is_not_sent() -> None:
    assert read_line("/histroy 5") == Unknown("/histroy", "/history")
    assert read_line("/sess") == Unknown("/sess", "/sessions")


@pytest.mark.parametrize(
    ("text", "seconds"), [("600", 600), ("90s", 90), ("30m", 1800), ("12h", 43200), ("7d", 604800)]
)
def test_a_time_is_read_in_seconds_minutes_hours_or_days(text: str, seconds: int) -> None:
    assert read_ttl(text) == seconds


def test_never_has_no_time() -> None:
    assert read_ttl("never") is None


@pytest.mark.parametrize("text", ["0", "0d", "-5", "1.5", "soon", "", "5 m"])
def test_another_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="from 1"):
        read_ttl(text)
