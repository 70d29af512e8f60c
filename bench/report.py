"""The figures as a table for people and as JSON for programs, with the machine that they were measured on."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.figures import BUSY, Figure, Measured

LIMITED = "†"


@dataclass(frozen=True, slots=True)
class Report:
    """All that one run of the bench found.

    `first_tokens` are in ms, by load and server; `throughput` is by server and number of callers; `memory` is in MB
    after so many turns. `broken` holds some of each server's broken answers, `lost` their number.
    """

    figures: Sequence[Figure]
    machine: dict[str, Any]
    rounds: int
    first_tokens: Mapping[str, Mapping[str, Sequence[float]]]
    throughput: Mapping[str, Mapping[int, Measured]]
    memory: Mapping[str, Sequence[tuple[int, float]]]
    turns: dict[str, int]
    lost: dict[str, int]
    broken: dict[str, Sequence[str]]
    seconds: float

    def show(self, console: Console) -> None:
        """Print the table, and everything that makes its numbers doubtful."""
        servers = list(self.turns)
        others = [name for name in servers if name not in ("provider", "switchboard")]
        table = Table(title=f"Switchboard bench: {self.rounds} rounds, {self.seconds:.0f} s", title_justify="left")
        table.add_column("figure")
        for name in servers:
            table.add_column(name, justify="right")
        for other in others:
            table.add_column(f"against {other}", justify="right")
        for figure in self.figures:
            cells = [_cell(figure.values.get(name), figure.unit) for name in servers]
            table.add_row(figure.name, *cells, *(_ratio(figure, other) for other in others))
        console.print(table)
        for line in (*self._legend(), *self._doubts()):
            console.print(line, markup=False)

    def save(self, file: Path) -> dict[str, Any]:
        """Write it as JSON; returns what was written, as a program reads it."""
        text = json.dumps(asdict(self), indent=1)
        file.write_text(text + "\n")
        read: dict[str, Any] = json.loads(text)
        return read

    def _legend(self) -> list[str]:
        machine = {name: value for name, value in self.machine.items() if name != "versions"}
        return [
            "value [lowest - highest of the rounds]; a ratio above 1 means that Switchboard does better",
            ", ".join(f"{name}: {value}" for name, value in machine.items()),
            ", ".join(f"{name} {value}" for name, value in self.machine.get("versions", {}).items()),
            "whole turns: " + ", ".join(f"{name} {turns}" for name, turns in self.turns.items()),
            "memory course: " + ", ".join(f"{name} {samples[-1][0]} turns" for name, samples in self.memory.items()),
        ]

    def _doubts(self) -> list[str]:
        found = []
        if any(measured.limited for figure in self.figures for measured in figure.values.values()):
            found.append(
                f"{LIMITED} the provider and the load took over {BUSY:.0%} of their cores, or the search ended at its "
                "greatest number: the server may be able to do more"
            )
        for name, lost in self.lost.items():
            if lost:
                found.append(f"BROKEN: {name} gave {lost} broken answers, for example: {self.broken[name][0]}")
        if self.machine["load before"] > 0.5:
            found.append("The machine was busy before the run began: do not trust these numbers.")
        return found


def _cell(measured: Measured | None, unit: str) -> str:
    if measured is None or not math.isfinite(measured.value):
        return "-"
    low, high = min(measured.rounds), max(measured.rounds)
    spread = f" [{_number(low)} - {_number(high)}]" if low != high else ""
    return f"{_number(measured.value)} {unit}".strip() + spread + (f" {LIMITED}" if measured.limited else "")


def _number(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _ratio(figure: Figure, other: str) -> str:
    ours, theirs = figure.values.get("switchboard"), figure.values.get(other)
    if figure.more_is_better is None or ours is None or theirs is None or min(ours.value, theirs.value) <= 0:
        return "-"
    ratio = ours.value / theirs.value if figure.more_is_better else theirs.value / ours.value
    return f"{ratio:.1f} x" if ratio >= 1 else f"{ratio:.2f} x"
