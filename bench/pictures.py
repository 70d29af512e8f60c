"""Draw the charts of a run from its JSON: `python -m bench.pictures docs/bench/bench.json`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import NullLocator, PercentFormatter, ScalarFormatter

_COLOURS = {"switchboard": "#1f5fd1", "floor": "#6b7280", "litellm proxy": "#d9622b", "provider": "#b9bec7"}
_TITLES = {"switchboard": "Switchboard", "floor": "floor: bare relay", "litellm proxy": "LiteLLM Proxy"}
_TITLES["provider"] = "provider itself"
_TICKS = [step * 10**power for power in range(7) for step in (1, 2, 5)]
STYLE: dict[Any, Any] = {
    "font.size": 10,
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e5e7eb",
    "legend.frameon": False,
    "savefig.dpi": 110,
}


def draw(report: Mapping[str, Any], folder: Path) -> list[Path]:
    """Draw all charts as PNG files into `folder`; return the files."""
    pictures: dict[str, tuple[int, Callable[..., None]]] = {
        "first-token": (2, _first_tokens),
        "throughput": (1, _throughput),
        "memory": (1, _memory),
    }
    files = []
    with pyplot.rc_context(STYLE):
        for name, (panels, picture) in pictures.items():
            figure, axes = pyplot.subplots(1, panels, figsize=(8, 4.2), sharey=True)
            picture(axes, report)
            figure.text(0.995, 0.005, _caption(report), ha="right", va="bottom", fontsize=7, color="#6b7280")
            figure.set_layout_engine("constrained", rect=(0, 0.035, 1, 0.965))
            files.append(folder / f"{name}.png")
            figure.savefig(files[-1], metadata={"Software": None})
            pyplot.close(figure)
    return files


def _first_tokens(panels: Sequence[Axes], report: Mapping[str, Any]) -> None:
    for axes, (load, title) in zip(panels, {"alone": "1 caller", "crowd": "32 callers"}.items(), strict=True):
        by_server = {name: samples for name, samples in report["first_tokens"][load].items() if samples}
        for name, samples in by_server.items():
            shares = [number / len(samples) for number in range(len(samples) + 1)]
            axes.step([samples[0], *samples], shares, where="post", **_line(name))
        axes.set(title=f"First token, {title}", xlabel="ms from the request to the first text")
        axes.set_ylim(0, 1.02)
        if max((samples[-1] for samples in by_server.values()), default=0) > 1000:
            axes.set_xscale("log")
            _plain_ticks(axes.xaxis, *axes.get_xlim())
    panels[0].set_ylabel("share of the turns")
    panels[0].yaxis.set_major_formatter(PercentFormatter(1.0))
    if panels[0].lines:
        panels[0].legend(loc="lower right")


def _throughput(axes: Axes, report: Mapping[str, Any]) -> None:
    for name, points in report["throughput"].items():
        if name == "provider":
            continue
        callers = [int(each) for each in points]
        axes.plot(callers, [each["value"] for each in points.values()], marker="o", markersize=4, **_line(name))
        low = [min(each["rounds"]) for each in points.values()]
        high = [max(each["rounds"]) for each in points.values()]
        axes.fill_between(callers, low, high, color=_COLOURS.get(name), alpha=0.15, linewidth=0)
    axes.set(
        title="Streamed turns a second on one core, 32 chunks a turn",
        xlabel="callers at once",
        ylabel="turns/s, logarithmic",
    )
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.xaxis.set_ticks(sorted({int(each) for points in report["throughput"].values() for each in points}))
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_locator(NullLocator())
    lowest = axes.get_ylim()[0]
    axes.set_ylim(bottom=max((step for step in _TICKS if step <= lowest), default=lowest))
    _plain_ticks(axes.yaxis, *axes.get_ylim())
    axes.legend(loc="best")


def _plain_ticks(axis: Axis, low: float, high: float) -> None:
    """Label a logarithmic axis with 1, 2, 5, 10 ... in plain numbers."""
    axis.set_ticks([step for step in _TICKS if low <= step <= high])
    axis.set_major_formatter(ScalarFormatter())
    axis.set_minor_locator(NullLocator())


def _memory(axes: Axes, report: Mapping[str, Any]) -> None:
    for name, samples in report["memory"].items():
        axes.plot([turns for turns, _ in samples], [memory for _, memory in samples], **_line(name))
    axes.set(title="Resident memory over streamed turns", xlabel="turns since the start", ylabel="MB")
    axes.set_ylim(bottom=0)
    axes.set_xlim(left=0)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.legend(loc="best")


def _line(name: str) -> dict[str, Any]:
    return {
        "color": _COLOURS.get(name),
        "label": _TITLES.get(name, name),
        "linewidth": 2.2 if name == "switchboard" else 1.6,
        "zorder": 3 if name == "switchboard" else 2,
    }


def _caption(report: Mapping[str, Any]) -> str:
    machine = report["machine"]
    return (
        f"{machine['cpu']}, {machine['cores']} cores, the server on one of them; Python {machine['python']}; "
        f"{machine['date']}"
    )


def main(arguments: Sequence[str]) -> None:
    """Draw the charts of a JSON file into its folder."""
    file = Path(arguments[0])
    for chart in draw(json.loads(file.read_text()), file.parent):
        print(chart)


if __name__ == "__main__":
    main(sys.argv[1:])
