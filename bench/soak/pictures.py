"""Draw the chart of a soak from its JSON: `python -m bench.soak.pictures docs/bench/soak.json`."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot
from matplotlib.axes import Axes

from bench.pictures import STYLE

_OUTCOMES = {
    "whole": "#1f5fd1",
    "hung up": "#b9bec7",
    "clean error": "#d9a02b",
    "cut": "#d9622b",
    "bad gateway": "#7a1fd1",
}
_KINDS = {"chat": "#1f5fd1", "session": "#d9622b"}
_GREY = "#6b7280"


def draw(report: Mapping[str, Any], file: Path) -> Path:
    """Draw the chart as PNG; return the file."""
    with pyplot.rc_context(STYLE):
        figure, panels = pyplot.subplots(4, 1, figsize=(8, 11), sharex=True)
        for axes, panel in zip(panels, (_turns, _first_tokens, _memory, _connections), strict=True):
            panel(axes, report)
            _mark_events(axes, report, named=axes is panels[0])
        panels[-1].set_xlabel("minutes")
        panels[-1].set_xlim(0, report["seconds"] / 60)
        figure.text(0.995, 0.003, _caption(report), ha="right", va="bottom", fontsize=7, color=_GREY)
        figure.set_layout_engine("constrained", rect=(0, 0.015, 1, 0.985))
        figure.savefig(file, metadata={"Software": None})
        pyplot.close(figure)
    return file


def _turns(axes: Axes, report: Mapping[str, Any]) -> None:
    slots = report["slots"]
    rates = [[slot["rates"][outcome] for slot in slots] for outcome in _OUTCOMES]
    axes.stackplot(_minutes(slots), rates, labels=list(_OUTCOMES), colors=list(_OUTCOMES.values()), linewidth=0)
    axes.set(title=f"Turns a second by outcome, {report['callers']} streams", ylabel="turns/s")
    # Room for the names of the events.
    axes.set_ylim(0, 1.75 * max(map(sum, zip(*rates, strict=True)), default=1))
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=8)


def _first_tokens(axes: Axes, report: Mapping[str, Any]) -> None:
    for kind, colour in _KINDS.items():
        slots = [slot for slot in report["slots"] if kind in slot["first_token"]]
        axes.plot(_minutes(slots), [1000 * slot["first_token"][kind] for slot in slots], color=colour, label=kind)
    axes.set(title="First token, p99 of turns whose provider did not fail", ylabel="ms")
    axes.set_ylim(bottom=0)
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=8)


def _memory(axes: Axes, report: Mapping[str, Any]) -> None:
    samples = report["samples"]
    for pid in dict.fromkeys(pid for sample in samples for pid in sample["memory"]):
        lived = [sample for sample in samples if pid in sample["memory"]]
        axes.plot(_minutes(lived), [sample["memory"][pid] for sample in lived], linewidth=1.6)
    axes.set(title="Resident memory of each worker", ylabel="MB")
    axes.set_ylim(bottom=0)


def _connections(axes: Axes, report: Mapping[str, Any]) -> None:
    samples = report["samples"]
    lines = {
        "descriptors of\nall workers": [sum(sample["descriptors"].values()) for sample in samples],
        "to the provider": [sample["provider"] for sample in samples],
        "to PostgreSQL": [sample["database"] for sample in samples],
        "to Redis": [sample["redis"] for sample in samples],
    }
    for name, values in lines.items():
        axes.plot(_minutes(samples), [float("nan") if each is None else each for each in values], label=name)
    axes.set(title="File descriptors and connections", ylabel="number")
    axes.set_ylim(bottom=0)
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=8)


def _mark_events(axes: Axes, report: Mapping[str, Any], *, named: bool) -> None:
    for event in report["events"]:
        start, end = event["start"] / 60, event["end"] / 60
        axes.axvspan(start, end, color=_GREY, alpha=0.18, linewidth=0)
        if named:
            top = axes.get_ylim()[1]
            axes.text(start, top, f" {event['name']}", rotation=90, fontsize=7, va="top", ha="left", color=_GREY)


def _minutes(points: Sequence[Mapping[str, Any]]) -> list[float]:
    return [point["at"] / 60 for point in points]


def _caption(report: Mapping[str, Any]) -> str:
    machine = report["machine"]
    return f"{machine['cpu']}, everything on one machine; Python {machine['python']}; {machine['date']}"


def main(arguments: Sequence[str]) -> None:
    """Draw the chart of a JSON file beside it."""
    file = Path(arguments[0])
    print(draw(json.loads(file.read_text()), file.with_suffix(".png")))


if __name__ == "__main__":
    main(sys.argv[1:])
