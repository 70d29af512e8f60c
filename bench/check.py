"""`python -m bench.check [--update] [--meter time]`: whether a turn costs more than it did.

Nothing is compared in seconds, which differ from machine to machine and from hour to hour. What is compared is the cost
of a turn of Switchboard as a multiple of a turn of the floor, measured in the same run: in executed instructions where
valgrind is installed, and else in CPU time.
"""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from statistics import median

from rich.console import Console
from rich.table import Table

from bench.baseline import FILE, TOLERANCES, Baseline, Compared
from bench.counted import ROUNDS as COUNTED_ROUNDS
from bench.counted import can_count, counted
from bench.machine import cpu
from bench.program import run
from bench.scenarios import Costs, Meter
from bench.timed import ROUNDS as TIMED_ROUNDS
from bench.timed import timed

Say = Callable[[str], None]


async def measure(meter: Meter, say: Say) -> dict[str, Costs]:
    """The cost of every scenario. Raises BenchFailed."""
    return await (counted(COUNTED_ROUNDS, say) if meter == "instructions" else timed(TIMED_ROUNDS, say))


def compared(meter: Meter, costs: Mapping[str, Costs], baseline: Baseline | None) -> list[Compared]:
    """Every scenario beside the baseline; None when a new one is to be written. Raises NoBaseline."""
    return [
        Compared(name, meter, each, None if baseline is None else baseline.agreed(meter, name))
        for name, each in costs.items()
    ]


def show(meter: Meter, found: Sequence[Compared], console: Console) -> None:
    """Print what was compared as a table."""
    scale, unit = (1e-6, "M instructions") if meter == "instructions" else (1e3, "ms of CPU time")
    table = Table(title=f"The cost of a turn, in {unit}", title_justify="left")
    for column in ("turn", "Switchboard", "floor", "ratio", "of the rounds", "agreed", "change"):
        table.add_column(column, justify="left" if column in ("turn", "change") else "right")
    for each in found:
        ours, floor = (f"{median(costs) * scale:.2f}" for costs in each.costs)
        spread = f"{min(each.rounds):.2f} - {max(each.rounds):.2f}"
        agreed = f"{each.agreed:.2f}" if each.agreed else "-"
        table.add_row(each.name, ours, floor, f"{each.ratio:.2f}", spread, agreed, each.verdict())
    console.print(table)


def judged(meter: Meter, found: Sequence[Compared], baseline: Baseline, console: Console) -> int:
    """Say what got worse and what to do about it; the exit status."""
    worse = [each.name for each in found if each.is_worse]
    if not worse:
        console.print("A turn costs no more than was agreed to.", markup=False)
        return 0
    console.print(
        f"WORSE by more than {TOLERANCES[meter]:.0%}: {'; '.join(worse)}.\n"
        "`make bench-profile` tells where the time goes. If it is worth it, agree to it: make bench-check UPDATE=1",
        markup=False,
    )
    if (baseline.cpu, baseline.python) != (cpu(), platform.python_version()):
        console.print(
            f"The baseline was measured on {baseline.cpu} with Python {baseline.python}, this is {cpu()} with Python "
            f"{platform.python_version()}: compare with the state before your change on this machine.",
            markup=False,
        )
    return 1


async def update(say: Say, console: Console) -> int:
    """Agree to what a turn costs now: write the baseline, by both meters where valgrind is installed."""
    meters: tuple[Meter, ...] = ("instructions", "time") if can_count() else ("time",)
    ratios: dict[Meter, dict[str, float]] = {}
    for meter in meters:
        found = compared(meter, await measure(meter, say), None)
        show(meter, found, console)
        ratios[meter] = {each.name: round(each.ratio, 3) for each in found}
    Baseline(ratios, cpu(), platform.python_version()).save()
    console.print(f"written: {FILE.name}", markup=False)
    if not can_count():
        console.print("Without valgrind the instructions are missing in it: those who have it cannot check against it.")
    return 0


async def check(meter: Meter, say: Say, console: Console) -> int:
    """Compare with the baseline; the exit status. Raises NoBaseline."""
    baseline = Baseline.load()
    found = compared(meter, await measure(meter, say), baseline)
    show(meter, found, console)
    return judged(meter, found, baseline, console)


def main() -> int:
    """The exit status: 0 when nothing got worse, 1 when something did, 2 when it could not run."""
    parser = argparse.ArgumentParser(prog="python -m bench.check", description=__doc__)
    parser.add_argument("--update", action="store_true", help="agree to what is measured now: write the baseline")
    default = "instructions" if can_count() else "time"
    parser.add_argument("--meter", choices=("instructions", "time"), default=default, help="default here: %(default)s")
    options = parser.parse_args()
    console, progress = Console(width=None if sys.stdout.isatty() else 140), Console(stderr=True)

    def say(text: str) -> None:
        progress.print(text, style="dim")

    return run(update(say, console) if options.update else check(options.meter, say, console))


if __name__ == "__main__":
    sys.exit(main())
