"""Asks a person to decide on a tool call that waits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import orjson

from api.terminal import render
from api.terminal.input_line import Command, read_line
from api.terminal.keyboard import Check, Keyboard
from api.terminal.reviews import (
    DECISIONS,
    Answer,
    Choice,
    allowed_choices,
    arguments_json,
    meant_arguments,
    problem_of,
    read_answer,
    reviewed_call,
)
from api.terminal.screen import Screen
from api.terminal.turn_parts import Json

MARGIN: Final = 12
"""Columns that the prompt of the editor takes."""


class Postponed(Exception):
    """The reviewer decides later; `command` is what to do instead."""

    def __init__(self, command: Command | None = None) -> None:
        super().__init__()
        self.command = command


@dataclass(frozen=True, slots=True)
class ReviewDecision:
    """`response_type` and `args` of `/agent/resume`."""

    response_type: str
    args: Any = None


class ReviewDialogue:
    """Shows the waiting call, and reads the decision. Raises Postponed for Ctrl-C and for a command."""

    def __init__(self, screen: Screen, keyboard: Keyboard) -> None:
        self._screen = screen
        self._keyboard = keyboard

    def decide(self, interrupt: Json, waiting: int) -> ReviewDecision:
        """Ask for a decision on the first of `waiting` calls."""
        self._screen.show(render.review_card(interrupt, waiting))
        answer = self._read_answer(allowed_choices(interrupt))
        match answer:
            case Answer("edit", ""):
                return self.edit(interrupt)
            case Answer("edit", text):
                return self._checked_edit(interrupt, text)
            case Answer("response", text):
                return ReviewDecision("response", text or self._read_text("response › "))
            case Answer(choice, reason):
                return ReviewDecision(DECISIONS[choice], reason or None)

    def edit(self, interrupt: Json, arguments: Any = None) -> ReviewDecision:
        """Open the call's arguments, or `arguments` in their place, until they are valid."""
        shown = reviewed_call(interrupt)[1] if arguments is None else arguments
        text = self._open(arguments_json(shown, self._screen.console.width - MARGIN), interrupt)
        return self._checked_edit(interrupt, text)

    def _checked_edit(self, interrupt: Json, text: str) -> ReviewDecision:
        while problem := problem_of(text, interrupt.get("args_schema")):
            self._screen.problem(problem)
            text = self._open(text, interrupt)
        return ReviewDecision("edit", orjson.loads(text))

    def _open(self, text: str, interrupt: Json) -> str:
        schema = interrupt.get("args_schema")
        edited = self._ask("arguments › ", text, lambda edited: problem_of(meant_arguments(edited, text), schema))
        return meant_arguments(edited, text)

    def _read_answer(self, allowed: tuple[Choice, ...]) -> Answer:
        while True:
            line = self._ask(f"{' / '.join(allowed)} › ")
            if (answer := read_answer(line, allowed)) is not None:
                return answer
            if isinstance(command := read_line(line), Command):
                raise Postponed(command)
            self._screen.problem(f"The call waits for one of: {', '.join(allowed)}. Ctrl-C decides later.")

    def _read_text(self, prompt: str) -> str:
        while not (text := self._ask(prompt).strip()):
            self._screen.problem("The agent needs a text.")
        return text

    def _ask(self, prompt: str, text: str = "", check: Check | None = None) -> str:
        try:
            return self._keyboard.answer(prompt, text, check)
        except KeyboardInterrupt:
            raise Postponed from None
