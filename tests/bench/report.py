"""The figures as a table for people and as JSON for programs, with the machine that they were measured on."""

from __future__ import annotations

import json
import math
import os
import platform
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.bench.figures import Figure, Measured
from tests.bench.processes import Cores


@dataclass(frozen=True, slots=True)
class Report:
    """All that one run of the bench found. `broken` holds some of each server's broken answers, `lost` their number."""

    figures: Sequence[Figure]
    machine: dict[str, Any]
    rounds: int
    turns: dict[str, int]
    lost: dict[str, int]
    broken: dict[str, Sequence[str]]
    seconds: float

    def show(self, console: Console) -> None:
        """Print the table, and everything that makes its numbers doubtful."""
        servers = list(self.turns)
        peers = [name for name in servers if name not in ("vendor", "switchboard")]
        table = Table(title=f"Switchboard bench: {self.rounds} rounds, {self.seconds:.0f} s", title_justify="left")
        table.add_column("figure")
        for name in servers:
            table.add_column(name, justify="right")
        for peer in peers:
            table.add_column(f"against {peer}", justify="right")
        for figure in self.figures:
            cells = [_cell(figure.values.get(name), figure.unit) for name in servers]
            table.add_row(figure.name, *cells, *(_ratio(figure, peer) for peer in peers))
        console.print(table)
        console.print(
            "value [lowest - highest of the rounds]; a ratio above 1 means that Switchboard does better", markup=False
        )
        console.print(", ".join(f"{name}: {value}" for name, value in self.machine.items()), markup=False)
        console.print(
            "whole turns: " + ", ".join(f"{name} {turns}" for name, turns in self.turns.items()), markup=False
        )
        for name, lost in self.lost.items():
            if lost:
                console.print(
                    f"BROKEN: {name} gave {lost} broken answers, for example: {self.broken[name][0]}", markup=False
                )
        if self.machine["load before"] > 0.5:
            console.print("The machine was busy before the run began: do not trust these numbers.", markup=False)

    def save(self, file: Path) -> None:
        """Write it as JSON."""
        file.write_text(json.dumps(asdict(self), indent=2) + "\n")


def machine(cores: Cores) -> dict[str, Any]:
    """What has to be known of the machine to compare its numbers with another's."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "server on": sorted(cores.server) or "any core",
        "vendor and load on": sorted(cores.load) or "any core",
        "load before": round(os.getloadavg()[0], 2),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "litellm": version("litellm"),
        "langgraph": version("langgraph"),
        "date": time.strftime("%Y-%m-%d"),
    }


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _cell(measured: Measured | None, unit: str) -> str:
    if measured is None or not math.isfinite(measured.value):
        return "-"
    spread = f" [{_number(measured.low)} - {_number(measured.high)}]" if measured.low != measured.high else ""
    return f"{_number(measured.value)} {unit}".strip() + spread


def _number(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _ratio(figure: Figure, peer: str) -> str:
    ours, theirs = figure.values.get("switchboard"), figure.values.get(peer)
    if figure.more_is_better is None or ours is None or theirs is None or min(ours.value, theirs.value) <= 0:
        return "-"
    ratio = ours.value / theirs.value if figure.more_is_better else theirs.value / ours.value
    return f"{ratio:.1f} x"
