"""The results of the benchmark as a table and as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.figures import SATURATED, Figure, Measurement

LIMITED = "†"


@dataclass(frozen=True, slots=True)
class Report:
    """All results of one run.

    first_tokens: in ms, by load and server.
    throughput: by server and number of callers.
    memory: pairs of (turns so far, MB), by server.
    lost: number of broken answers, by server.
    broken: the errors of some broken answers, by server.
    seconds: duration of the run.
    """

    figures: Sequence[Figure]
    machine: dict[str, Any]
    rounds: int
    first_tokens: Mapping[str, Mapping[str, Sequence[float]]]
    throughput: Mapping[str, Mapping[int, Measurement]]
    memory: Mapping[str, Sequence[tuple[int, float]]]
    turns: dict[str, int]
    lost: dict[str, int]
    broken: dict[str, Sequence[str]]
    seconds: float

    def show(self, console: Console) -> None:
        """Print the table, the machine, and warnings about unreliable results."""
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
        for line in (*self._legend(), *self._warnings()):
            console.print(line, markup=False)

    def save(self, file: Path) -> dict[str, Any]:
        """Write the report as JSON, and return the JSON object."""
        text = json.dumps(asdict(self), indent=1)
        file.write_text(text + "\n")
        written: dict[str, Any] = json.loads(text)
        return written

    def _legend(self) -> list[str]:
        machine = {name: value for name, value in self.machine.items() if name != "versions"}
        return [
            "value [lowest - highest of the rounds]; a ratio above 1 means that Switchboard does better",
            ", ".join(f"{name}: {value}" for name, value in machine.items()),
            ", ".join(f"{name} {value}" for name, value in self.machine.get("versions", {}).items()),
            "whole turns: " + ", ".join(f"{name} {turns}" for name, turns in self.turns.items()),
            "memory course: " + ", ".join(f"{name} {samples[-1][0]} turns" for name, samples in self.memory.items()),
        ]

    def _warnings(self) -> list[str]:
        warnings = []
        if any(measurement.limited for figure in self.figures for measurement in figure.values.values()):
            warnings.append(
                f"{LIMITED} the provider and the load used more than {SATURATED:.0%} of their cores, or the search "
                "reached its greatest number: the server may be able to do more"
            )
        for name, lost in self.lost.items():
            if lost:
                warnings.append(f"BROKEN: {name} gave {lost} broken answers, for example: {self.broken[name][0]}")
        if self.machine["load before"] > 0.5:
            warnings.append("The machine was busy before the run: do not trust these numbers.")
        return warnings


def _cell(measurement: Measurement | None, unit: str) -> str:
    if measurement is None or not math.isfinite(measurement.value):
        return "-"
    low, high = min(measurement.rounds), max(measurement.rounds)
    spread = f" [{_number(low)} - {_number(high)}]" if low != high else ""
    return f"{_number(measurement.value)} {unit}".strip() + spread + (f" {LIMITED}" if measurement.limited else "")


def _number(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _ratio(figure: Figure, other: str) -> str:
    ours, theirs = figure.values.get("switchboard"), figure.values.get(other)
    if figure.more_is_better is None or ours is None or theirs is None or min(ours.value, theirs.value) <= 0:
        return "-"
    ratio = ours.value / theirs.value if figure.more_is_better else theirs.value / ours.value
    return f"{ratio:.1f} x" if ratio >= 1 else f"{ratio:.2f} x"
