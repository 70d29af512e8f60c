"""What `switchboard call` shows, as rich's renderables."""

from __future__ import annotations

from typing import Final

from rich.console import Console, RenderableType
from rich.text import Text

from api.rehearsal.carrier import PhoneCall
from api.terminal import render
from api.terminal.call_input import COMMANDS

SPEAKERS: Final = len("agent")
"""Columns of the names."""

AGENT: Final = Text("agent", "note")

LINES_AROUND: Final = 7
"""Lines of the screen that the agent's words leave to those above and below while it speaks."""

PROMPT: Final = "you  › "
"""As wide as a name and its distance to the text."""


def header(call: PhoneCall, place: str) -> RenderableType:
    """The first line: who calls whom, and where."""
    numbers = f"{render.clean(call.number)} calls {render.clean(call.to)}"
    return Text.assemble(("Switchboard", "bold"), f" · {numbers} · {render.clean(place)}")


def caller(text: str) -> RenderableType:
    """What the caller said or did."""
    return render.speaker(Text("you", "name"), render.plain(text), SPEAKERS)


def agent(heard: str, unheard: str = "", note: str = "") -> RenderableType:
    """What the caller heard of the agent, and what not because of an interruption."""
    said = render.plain(" ".join(heard.split()))
    if rest := " ".join(unheard.split()):
        said = Text.assemble(said, " — " if said else "", (render.clean(rest), "dim strike"))
    rows = [said, Text(note, "note")] if note else [said]
    return render.speaker(AGENT, Text("\n").join(rows), SPEAKERS)


def speaking(heard: str, console: Console) -> RenderableType:
    """The agent while it speaks: the last lines, if the screen is too low for all."""
    width = min(console.width, render.WIDEST) - len(PROMPT)
    text = render.tail(" ".join(heard.split()), console, max(1, console.height - LINES_AROUND), max(1, width))
    return render.speaker(AGENT, text, SPEAKERS)


def silent(seconds: float) -> RenderableType:
    """The agent before its first word."""
    return render.speaker(AGENT, Text(f"… {seconds:.1f} s", "note"), SPEAKERS)


def transfer(destination: str) -> RenderableType:
    """Where the agent transfers the call."""
    return render.card("Transfer", [render.plain(destination)], "magenta")


def commands() -> RenderableType:
    """The list of `/help`."""
    return render.fields(COMMANDS.values())


def clock(seconds: float) -> str:
    """A duration as a phone shows it."""
    return f"{int(seconds) // 60:02d}:{int(seconds) % 60:02d}"
