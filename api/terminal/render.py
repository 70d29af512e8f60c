"""What the terminal shows, as rich's renderables. The colours are the terminal's own: light backgrounds work too."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Final

import orjson
from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.markdown import Heading, Markdown, MarkdownElement
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text
from rich.theme import Theme

from api.terminal.reviews import reviewed_call
from api.terminal.turn_parts import CallPart, Json, Outcome, parts_of_messages, role_of, text_of

WIDEST: Final = 100
"""Columns. Longer lines are hard to read."""

KEPT_WHOLE: Final = ("", "status")
"""Columns of a table that keep their width; the others are folded."""

RESULT_LINES: Final = 6
"""Lines of a tool's result that are shown."""

THEME: Final = Theme(
    {
        "markdown.code": "cyan",
        "markdown.code_block": "cyan",
        "markdown.h1": "bold",
        "markdown.h2": "bold",
        "markdown.item.number": "cyan",
        "markdown.item.bullet": "cyan",
        "markdown.block_quote": "italic",
        "note": "dim",
        "problem": "red",
        "name": "bold cyan",
    }
)

CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Characters of a text that could steer the terminal or reorder what is shown; not tab and newline."""


class _LeftHeading(Heading):
    """A heading at the left; rich centres them."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield self.text


class _Markdown(Markdown):
    elements: ClassVar[dict[str, type[MarkdownElement]]] = {**Markdown.elements, "heading_open": _LeftHeading}


def clean(text: str) -> str:
    """The text without characters that steer the terminal."""
    return CONTROL.sub("", text)


def plain(value: Any, style: str = "") -> Text:
    """Text of the server or the user, without markup."""
    return Text(clean(str(value)), style=style)


def problem(text: str) -> RenderableType:
    """What went wrong, or why a line that was typed has no effect."""
    return Text.assemble(("! ", "problem"), plain(text, "problem"))


def shortened(text: str, length: int) -> str:
    """The text, cut to `length` characters."""
    return text if len(text) <= length else f"{text[: length - 1]}…"


def markdown(text: str) -> RenderableType:
    """An answer that is whole."""
    return _Markdown(clean(text), code_theme="ansi_light", hyperlinks=False)


def compact(arguments: Mapping[str, Any] | None) -> str:
    """The arguments of a call on one line."""
    return ", ".join(f"{name}: {_value(each)}" for name, each in (arguments or {}).items())


def call_line(call: CallPart) -> RenderableType:
    """A tool call of the agent, with its result. Without one, the turn ended before the call did."""
    if call.handed_off:
        return hand_off_card(call)
    mark = Text("… ", "note") if call.result is None else Text("✓ ", "green") if call.ok else Text("✗ ", "red")
    head = Text.assemble(mark, plain(call.name, "name"), "  ", plain(compact(call.arguments), "note"))
    if not call.result:
        return Padding(head, (0, 0, 0, 2))
    lines = clean(call.result).strip().splitlines()
    shown = lines[:RESULT_LINES] + (["…"] if len(lines) > RESULT_LINES else [])
    return Padding(Group(head, Padding(Text("\n".join(shown), "note"), (0, 0, 0, 2))), (0, 0, 0, 2))


def hand_off_card(call: CallPart) -> RenderableType:
    """A call that the caller is to carry out, such as a transfer."""
    return card(f"Hand-off: {clean(call.name)}", [_fields(call.arguments or {})], "magenta")


def review_card(interrupt: Json, waiting: int) -> RenderableType:
    """A tool call that waits for a decision, the first of `waiting`."""
    name, arguments = reviewed_call(interrupt)
    rows: list[RenderableType] = []
    if description := interrupt.get("description"):
        rows += [plain(description, "note"), Text()]
    rows.append(_fields(arguments) if arguments else Text("no arguments", "note"))
    title = f"Review: {clean(name)}" + (f" (1 of {waiting})" if waiting > 1 else "")
    return card(title, rows, "yellow")


def status_line(outcome: Outcome, first: float | None, whole: float | None) -> Padding:
    """Who served the turn, how long it took and what it cost. Times are in seconds."""
    usage = outcome.usage
    tokens, cost = usage.get("total_tokens"), usage.get("total_cost")
    said = [
        clean(outcome.model or ""),
        f"first token {first * 1000:.0f} ms" if first is not None else "",
        f"{whole:.2f} s" if whole is not None else "",
        f"{usage.get('input_tokens', 0)} tokens in, {usage.get('output_tokens', 0)} out" if tokens else "",
        _dollars(cost) if isinstance(cost, int | float) else "",
    ]
    return Padding(Text(" · ".join(filter(None, said)), "note"), (0, 0, 0, 2))


def table(*columns: str, rows: Iterable[Sequence[Any]]) -> RenderableType:
    """Rows under their columns. A cell is a renderable or a text of the server."""
    made = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False, show_edge=False)
    for column in columns:
        made.add_column(column, overflow="fold", no_wrap=column in KEPT_WHOLE)
    for row in rows:
        made.add_row(*(each if isinstance(each, Text) else plain(each) for each in row))
    return Padding(made, (0, 0, 0, 2))


def fields(rows: Iterable[tuple[str, str]]) -> RenderableType:
    """Names and their values, without a header."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in rows:
        grid.add_row(plain(name, "name"), plain(value))
    return grid


def message(message: Json) -> RenderableType:
    """A message of the history."""
    role = role_of(message)
    text = plain(text_of(message).strip(), "note" if role == "tool" else "")
    if role == "tool":
        text = Text.assemble(plain(message.get("name") or "tool", "name"), " ", text)
    else:
        called = [each.name for each in parts_of_messages([message], ended=False) if isinstance(each, CallPart)]
        text = Text(" ").join(filter(None, [text, *(Text(f"→ {clean(name)}", "note") for name in called)]))
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=len("assistant"), no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row(Text(clean(role), "name" if role == "user" else "note"), text)
    return grid


def last_query(query: str, when: Any) -> RenderableType:
    """The message that a restored session was about."""
    return Text.assemble(("You said ", "note"), (f"{moment(when)}: " if when else ": ", "note"), plain(query))


def persona_name(persona: Json) -> str:
    """The persona's name, or its id if it has none."""
    return clean(str(persona.get("name") or persona.get("id")))


def moment(value: Any) -> str:
    """A time of the API, in Unix seconds, as the local date and time; nothing for None."""
    if not isinstance(value, int | float):
        return ""
    return datetime.fromtimestamp(value).strftime("%Y-%m-%d %H:%M")


@dataclass(frozen=True, slots=True)
class _Speaker:
    name: Text
    text: Text
    columns: int

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if not console.is_terminal:
            yield Text.assemble(self.name, ": ", self.text)
            return
        grid = Table.grid(padding=(0, 2))
        grid.add_column(width=self.columns, no_wrap=True)
        grid.add_column(overflow="fold")
        grid.add_row(self.name, self.text)
        yield grid


def speaker(name: Text, text: Text, columns: int) -> RenderableType:
    """Who says what: in a terminal beside each other, with so many columns for the name, otherwise as plain lines."""
    return _Speaker(name, text, columns)


def tail(text: str, console: Console, height: int, width: int | None = None) -> Text:
    """The last `height` lines of `text` as the console wraps it, at `width` columns or all that it has."""
    lines: list[Text] = []
    for paragraph in reversed(clean(text).split("\n")):
        lines = [*Text(paragraph).wrap(console, width or console.width), *lines]
        if len(lines) >= height:
            break
    return Text("\n").join(lines[-height:])


@dataclass(frozen=True, slots=True)
class _Card:
    title: str
    rows: Sequence[RenderableType]
    colour: str

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if not console.is_terminal:
            yield Text(self.title)
            yield Padding(Group(*self.rows), (0, 0, 0, 2))
            return
        yield Panel(
            Group(*self.rows),
            title=Text(self.title, "bold"),
            title_align="left",
            border_style=self.colour,
            box=box.ROUNDED,
            padding=(0, 1),
            expand=False,
        )


def card(title: str, rows: Sequence[RenderableType], colour: str) -> RenderableType:
    """A frame around something that needs attention; in a pipe, its title and its rows."""
    return _Card(title, rows, colour)


def _fields(arguments: Mapping[str, Any]) -> RenderableType:
    return fields((name, _value(value)) for name, value in arguments.items())


def _value(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _dollars(cost: float) -> str:
    return f"${cost:.6f}".rstrip("0").rstrip(".")
