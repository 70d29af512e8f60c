"""Writes to the terminal: notes, problems, tables, and turns while they run."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from io import TextIOWrapper

from rich.console import Console, RenderableType

from api.terminal import render
from api.terminal.answer_view import AnswerView, LiveAnswer, PlainAnswer, print_parts
from api.terminal.turn_parts import Outcome, Part
from api.terminal.updates import Update


def is_terminal() -> bool:
    """Whether a person sits at both ends, in a terminal that can move its cursor."""
    return sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"


class Screen:
    """The user's terminal; or plain text without colours and frames, if `live` is false."""

    def __init__(self, *, live: bool) -> None:
        for stream in (sys.stdin, sys.stdout):
            if isinstance(stream, TextIOWrapper):
                stream.reconfigure(errors="replace")  # a character that the encoding lacks must not end the program
        self.live = live
        self.console = Console(
            theme=render.THEME,
            highlight=False,
            force_terminal=live,
            no_color=None if live else True,
            soft_wrap=not live,
        )

    def show(self, *rows: RenderableType) -> None:
        for row in rows:
            self.console.print(row, width=min(self.console.width, render.WIDEST) if self.live else None)

    def show_parts(self, parts: Iterable[Part]) -> None:
        """Show the parts of a turn that has ended."""
        print_parts(self.console, parts)

    def space(self) -> None:
        """An empty line between two things, in a terminal."""
        if self.live:
            self.console.print()

    def note(self, text: str) -> None:
        self.show(render.plain(text, "note"))

    def problem(self, text: str) -> None:
        self.show(render.problem(text))

    def follow(self, updates: Iterable[Update]) -> Outcome:
        """Show a turn to its end. A KeyboardInterrupt is raised on."""
        view: AnswerView = LiveAnswer(self.console) if self.live else PlainAnswer(self.console)
        return view.follow(updates)
