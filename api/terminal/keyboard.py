"""Reads what the user types: with line editing in a terminal, or line by line from a pipe."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.filters import Condition
from prompt_toolkit.formatted_text import FormattedText
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.styles import Style
from prompt_toolkit.validation import ValidationError, Validator

Check = Callable[[str], str | None]
"""What is wrong with a text, in words; None if nothing is."""

STYLE = Style.from_dict(
    {
        "prompt": "ansicyan bold",
        "placeholder": "ansibrightblack",
        "bottom-toolbar": "noreverse bg:default ansibrightblack",
        "validation-toolbar": "noreverse bg:default ansired",
        "completion-menu.completion": "noinherit",
        "completion-menu.completion.current": "noinherit reverse",
    }
)


class Keyboard(Protocol):
    """Where lines come from. All methods raise EOFError at the end of the input."""

    asks: bool
    """Whether somebody is there to answer questions."""

    def line(self, prompt: str) -> str:
        """A message or a command. Raises KeyboardInterrupt for Ctrl-C."""
        ...

    def answer(self, prompt: str, text: str = "", check: Check | None = None, *, default: str = "") -> str:
        """The answer to a question, which is not kept in the history. In a terminal it passes `check`.

        `text` stands there to be edited; an empty line is the answer `default`.
        """
        ...


class PipedKeyboard:
    """Lines of a pipe or a file."""

    asks = False

    def line(self, prompt: str) -> str:
        line = sys.stdin.readline()
        if not line:
            raise EOFError
        return line.rstrip("\r\n")

    def answer(self, prompt: str, text: str = "", check: Check | None = None, *, default: str = "") -> str:
        return self.line(prompt) or default


class TerminalKeyboard:
    """prompt_toolkit's line editor. Enter sends; Alt-Enter begins a new line; a pasted text keeps its lines.

    `words` are the completions for the text before the cursor, `toolbar` is the line at the bottom.
    """

    asks = True

    def __init__(self, words: Callable[[str], Iterable[str]], toolbar: Callable[[], str]) -> None:
        self._lines: PromptSession[str] = PromptSession(
            history=_history(),
            completer=_Words(words),
            complete_while_typing=Condition(self._is_command),
            bottom_toolbar=lambda: FormattedText([("", toolbar())]),
            key_bindings=_keys(),
            multiline=True,
            prompt_continuation="  ",
            reserve_space_for_menu=6,
            style=STYLE,
        )

    def line(self, prompt: str) -> str:
        return printable(self._lines.prompt([("class:prompt", prompt)]))

    def answer(self, prompt: str, text: str = "", check: Check | None = None, *, default: str = "") -> str:
        session: PromptSession[str] = PromptSession(
            history=InMemoryHistory(),
            key_bindings=_keys(),
            multiline=True,
            prompt_continuation="  ",
            placeholder=FormattedText([("class:placeholder", default)]),
            validator=_Checked(lambda said: check(said or default)) if check else None,
            validate_while_typing=False,
            style=STYLE,
        )
        return printable(session.prompt([("class:prompt", prompt)], default=text)) or default

    def _is_command(self) -> bool:
        return self._lines.default_buffer.text.startswith("/")


class _Words(Completer):
    def __init__(self, words: Callable[[str], Iterable[str]]) -> None:
        self._words = words

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        typed = document.text_before_cursor
        word = typed.rpartition(" ")[2]
        for each in self._words(typed):
            if each.startswith(word):
                yield Completion(each, start_position=-len(word))


class _Checked(Validator):
    def __init__(self, check: Check) -> None:
        self._check = check

    def validate(self, document: Document) -> None:
        if problem := self._check(document.text):
            raise ValidationError(cursor_position=document.cursor_position, message=problem)


def _keys() -> KeyBindings:
    keys = KeyBindings()

    @keys.add("enter")
    def _(event: KeyPressEvent) -> None:
        event.current_buffer.validate_and_handle()

    @keys.add("escape", "enter")
    def _(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    return keys


def printable(text: str) -> str:
    """The text without halves of characters, which a terminal with another encoding may send."""
    return text.encode("utf-8", "replace").decode()


def state_folder() -> Path:
    """The user's folder for what a program keeps between two runs. Created for this user alone."""
    given = os.environ.get("XDG_STATE_HOME")
    folder = (Path(given) if given else Path.home() / ".local" / "state") / "switchboard"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def _history() -> History:
    """The history of earlier runs, which only this user may read; of this run, if the folder cannot be written."""
    try:
        file = state_folder() / "chat_history"
        os.close(os.open(file, os.O_CREAT | os.O_WRONLY, 0o600))
        file.chmod(0o600)
    except OSError:
        return InMemoryHistory()
    return FileHistory(file)
