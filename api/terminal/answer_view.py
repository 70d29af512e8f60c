"""Shows one turn while it runs and when it has ended, in a terminal or as plain text.

In a terminal, the end of the text that has arrived is redrawn in place; the whole answer then replaces it, as markdown.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from api.terminal import render
from api.terminal.turn_parts import CallPart, Outcome, Part, TextPart, settled
from api.terminal.updates import Restarted, Update, Waiting

FRAMES_PER_SECOND = 15
LINES_AROUND = 4
"""Lines of the screen that the text leaves to the lines above and below it."""


class AnswerView(Protocol):
    """Shows the updates of one turn."""

    def follow(self, updates: Iterable[Update]) -> Outcome:
        """Show the turn to its end. A KeyboardInterrupt shows what came so far, and is raised on."""
        ...


class _Turn:
    """What has come of a turn so far."""

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self.outcome: Outcome | None = None
        self.waiting = ""
        self.began = time.monotonic()
        self.first: float | None = None

    def add(self, update: Update) -> None:
        if isinstance(update, Waiting):
            self.waiting = update.reason
            if isinstance(update, Restarted) and self.parts and isinstance(self.parts[-1], TextPart):
                self.parts.pop()
            return
        match update:
            case Outcome():
                self.outcome = update
            case TextPart(text) if self.parts and isinstance(last := self.parts[-1], TextPart):
                last.text += text
            case TextPart() | CallPart():
                self.parts.append(update)
        self.waiting = ""
        if self.first is None and not isinstance(update, Outcome):
            self.first = self.elapsed

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self.began

    @property
    def shown(self) -> list[Part]:
        """The answer as the server stored it, or what came of it."""
        calls = {each.call_id for each in self.outcome.parts if isinstance(each, CallPart)} if self.outcome else set()
        streamed = {each.call_id for each in self.parts if isinstance(each, CallPart)}
        parts = self.outcome.parts if self.outcome and self.outcome.parts and streamed <= calls else self.parts
        return settled(parts) if self.outcome and self.outcome.interrupts else list(parts)

    def ended(self) -> Outcome:
        assert self.outcome is not None, "a turn ends with its outcome"  # noqa: S101
        return self.outcome


class LiveAnswer:
    """A turn in a terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._turn = _Turn()
        self._spinner = Spinner("dots", style="cyan")

    def follow(self, updates: Iterable[Update]) -> Outcome:
        turn = self._turn
        try:
            with Live(
                get_renderable=self._frame, console=self._console, refresh_per_second=FRAMES_PER_SECOND, transient=True
            ):
                for update in updates:
                    turn.add(update)
        except BaseException:
            self._print(turn.parts)
            raise
        outcome = turn.ended()
        self._print(turn.shown)
        if outcome.status == "completed":
            self._console.print(render.status_line(outcome, turn.first, turn.elapsed))
        self._console.print()
        return outcome

    def _frame(self) -> RenderableType:
        turn = self._turn
        rows: list[RenderableType] = [Text()]
        if text := "\n\n".join(each.text for each in turn.parts if isinstance(each, TextPart)):
            rows.append(render.tail(text, self._console, max(1, self._console.height - LINES_AROUND)))
        last = turn.parts[-1] if turn.parts else None
        said = f"{turn.elapsed:.1f} s"
        if turn.first is not None:
            said = f"first token {turn.first * 1000:.0f} ms · {said}"
        if isinstance(last, CallPart):
            said = f"{render.clean(last.name)}  {render.clean(render.compact(last.arguments))} · {said}"
        line = Text(turn.waiting or f"{said} · Ctrl-C stops", "note", overflow="ellipsis", no_wrap=True)
        self._spinner.update(text=line)
        return Group(*rows, self._spinner)

    def _print(self, parts: Iterable[Part]) -> None:
        print_parts(self._console, parts)


def print_parts(console: Console, parts: Iterable[Part]) -> None:
    """Print the parts of a turn that has ended, each after an empty line."""
    for part in parts:
        shown = render.markdown(part.text) if isinstance(part, TextPart) else render.call_line(part)
        console.print()
        console.print(shown, width=min(console.width, render.WIDEST))


class PlainAnswer:
    """A turn as plain text, for pipes and files.

    A call is printed when text follows it or the turn ends: only then is it known whether it is a hand-off.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._turn = _Turn()
        self._calls: list[CallPart] = []
        self._in_line = False

    def follow(self, updates: Iterable[Update]) -> Outcome:
        turn = self._turn
        try:
            for update in updates:
                self._show(update)
                turn.add(update)
        finally:
            self._print_calls()
            self._end_line()
        outcome = turn.ended()
        if outcome.status == "completed":
            self._console.print(render.status_line(outcome, turn.first, turn.elapsed))
        return outcome

    def _show(self, update: Update) -> None:
        match update:
            case TextPart(text):
                self._print_calls()
                self._console.out(render.clean(text), end="", highlight=False)
                self._in_line = True
            case CallPart():
                self._calls.append(update)
            case Waiting(reason):
                self._print_calls()
                if reason != self._turn.waiting:
                    self._line(reason)
            case Outcome():
                self._show_rest(update)

    def _show_rest(self, outcome: Outcome) -> None:
        """Show the whole answer if it did not stream to its end, or else which of the last calls are hand-offs."""
        if self._turn.waiting or not self._turn.parts:
            for part in outcome.parts:
                self._show(part)
            return
        handed_off = {each.call_id for each in outcome.parts if isinstance(each, CallPart) and each.handed_off}
        for call in self._calls:
            call.handed_off = call.call_id in handed_off

    def _print_calls(self) -> None:
        for call in self._calls:
            kind = "Hand-off" if call.handed_off else "Tool"
            self._line(f"{kind}: {call.name} {render.compact(call.arguments)}")
        self._calls.clear()

    def _line(self, text: str) -> None:
        self._end_line()
        self._console.out(render.clean(text), highlight=False)

    def _end_line(self) -> None:
        if self._in_line:
            self._console.out()
            self._in_line = False
