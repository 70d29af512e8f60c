"""Reads what the caller types while the agent speaks: beside it in a terminal, or line by line from a pipe."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from prompt_toolkit import PromptSession
from prompt_toolkit.application import run_in_terminal
from prompt_toolkit.completion import WordCompleter
from prompt_toolkit.formatted_text import ANSI, AnyFormattedText, FormattedText, merge_formatted_text, to_formatted_text
from prompt_toolkit.history import InMemoryHistory
from rich.console import RenderableType

from api.terminal.call_input import COMMANDS
from api.terminal.call_view import PROMPT
from api.terminal.keyboard import STYLE, printable
from api.terminal.screen import Screen

FRAMES_PER_SECOND = 15


class CallKeyboard(Protocol):
    """Where the caller's lines come from, and what is shown meanwhile."""

    waits: bool
    """Whether a line waits until the agent has finished."""

    async def line(self) -> str:
        """The next line. Raises EOFError at the end, and KeyboardInterrupt for Ctrl-C."""
        ...

    async def show(self, *rows: RenderableType) -> None:
        """Show something that stays, above what is being typed."""
        ...


class PipedCallKeyboard:
    """Lines of a pipe or a file."""

    waits = True

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._lines: asyncio.Queue[str] = asyncio.Queue()
        self._reader: threading.Thread | None = None

    async def line(self) -> str:
        if self._reader is None:
            # A daemon, because nothing ends a read of a pipe that stays open.
            self._reader = threading.Thread(target=self._read, args=(asyncio.get_running_loop(),), daemon=True)
            self._reader.start()
        if not (line := await self._lines.get()):
            raise EOFError
        return line.rstrip("\r\n")

    async def show(self, *rows: RenderableType) -> None:
        self._screen.show(*rows)

    def _read(self, loop: asyncio.AbstractEventLoop) -> None:
        with suppress(RuntimeError):  # the loop has ended
            while line := sys.stdin.readline():
                loop.call_soon_threadsafe(self._lines.put_nowait, line)
            loop.call_soon_threadsafe(self._lines.put_nowait, "")


class TerminalCallKeyboard:
    """A line editor at the bottom; above it stands `live`, what the agent says now, and below it `toolbar`."""

    waits = False

    def __init__(self, screen: Screen, live: Callable[[], RenderableType | None], toolbar: Callable[[], str]) -> None:
        self._screen = screen
        self._live = live
        self._lines: PromptSession[str] = PromptSession(
            message=self._message,
            history=InMemoryHistory(),
            completer=WordCompleter([f"/{name}" for name in COMMANDS], sentence=True),
            complete_while_typing=False,
            bottom_toolbar=lambda: FormattedText([("", toolbar())]),
            refresh_interval=1 / FRAMES_PER_SECOND,
            reserve_space_for_menu=0,
            erase_when_done=True,
            style=STYLE,
        )

    async def line(self) -> str:
        return printable(await self._lines.prompt_async())

    async def show(self, *rows: RenderableType) -> None:
        await run_in_terminal(lambda: self._screen.show(*rows))

    def _message(self) -> AnyFormattedText:
        prompt = FormattedText([("", "\n"), ("class:prompt", PROMPT)])  # where the line will stand
        if (live := self._live()) is None:
            return prompt
        with self._screen.console.capture() as drawn:
            self._screen.show(live)
        # A prompt is drawn in its own colours; what the agent says keeps those that it has.
        said = [(f"noinherit {style}", text) for style, text, *_ in to_formatted_text(ANSI(drawn.get()))]
        return merge_formatted_text([FormattedText(said), prompt])
