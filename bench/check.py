"""Compare the cost of a turn with the baseline: `python -m bench.check [--update] [--meter time]`.

The cost is that of a turn of Switchboard divided by that of a turn of the floor in the same run, because absolute times
vary between machines and hours. It is measured in executed instructions if valgrind is installed, else in CPU time.
"""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Mapping, Sequence
from statistics import median

from rich.console import Console
from rich.table import Table

from bench import cpu_time_meter, instruction_meter
from bench.baseline import FILE, TOLERANCES, Baseline, CostComparison
from bench.cost_scenarios import Costs, Meter
from bench.instruction_meter import has_valgrind
from bench.machine import cpu_model
from bench.program import print_progress, run_program


async def measure(meter: Meter) -> dict[str, Costs]:
    """Return the costs by scenario. Raises BenchError."""
    if meter == "instructions":
        return await instruction_meter.measure_instructions(instruction_meter.ROUNDS, print_progress)
    return await cpu_time_meter.measure_cpu_time(cpu_time_meter.ROUNDS, print_progress)


def compare(meter: Meter, costs: Mapping[str, Costs], baseline: Baseline | None) -> list[CostComparison]:
    """Compare every scenario with the baseline; None compares with nothing. Raises BaselineError."""
    return [
        CostComparison(name, meter, each, None if baseline is None else baseline.ratio(meter, name))
        for name, each in costs.items()
    ]


def show(meter: Meter, comparisons: Sequence[CostComparison], console: Console) -> None:
    """Print the comparisons as a table."""
    scale, unit = (1e-6, "M instructions") if meter == "instructions" else (1e3, "ms of CPU time")
    table = Table(title=f"The cost of a turn, in {unit}", title_justify="left")
    for column in ("turn", "Switchboard", "floor", "ratio", "rounds", "baseline", "change"):
        table.add_column(column, justify="left" if column in ("turn", "change") else "right")
    for each in comparisons:
        ours, floor = (f"{median(costs) * scale:.2f}" for costs in each.costs)
        spread = f"{min(each.ratios):.2f} - {max(each.ratios):.2f}"
        accepted = f"{each.accepted:.2f}" if each.accepted else "-"
        table.add_row(each.name, ours, floor, f"{each.ratio:.2f}", spread, accepted, each.verdict())
    console.print(table)


def report_regressions(
    meter: Meter, comparisons: Sequence[CostComparison], baseline: Baseline, console: Console
) -> int:
    """Print the regressions and what to do about them; return the exit status."""
    regressions = [each.name for each in comparisons if each.is_regression]
    if not regressions:
        console.print("A turn costs no more than the baseline allows.", markup=False)
        return 0
    console.print(
        f"WORSE by more than {TOLERANCES[meter]:.0%}: {'; '.join(regressions)}.\n"
        "`make bench-profile` shows where the time goes. To accept the new cost: make bench-check UPDATE=1",
        markup=False,
    )
    if (baseline.cpu, baseline.python) != (cpu_model(), platform.python_version()):
        console.print(
            f"The baseline was measured on {baseline.cpu} with Python {baseline.python}, this is {cpu_model()} with "
            f"Python {platform.python_version()}: compare with the state before your change on this machine.",
            markup=False,
        )
    return 1


async def update_baseline(console: Console) -> int:
    """Write the current cost to the baseline, for both meters if valgrind is installed; return the exit status."""
    meters: tuple[Meter, ...] = ("instructions", "time") if has_valgrind() else ("time",)
    ratios: dict[Meter, dict[str, float]] = {}
    for meter in meters:
        comparisons = compare(meter, await measure(meter), None)
        show(meter, comparisons, console)
        ratios[meter] = {each.name: round(each.ratio, 3) for each in comparisons}
    Baseline(ratios, cpu_model(), platform.python_version()).save()
    console.print(f"written: {FILE.name}", markup=False)
    if not has_valgrind():
        console.print("Without valgrind the baseline has no instructions: checks by instructions will fail.")
    return 0


async def check(meter: Meter, console: Console) -> int:
    """Compare with the baseline; return the exit status. Raises BaselineError."""
    baseline = Baseline.load()
    comparisons = compare(meter, await measure(meter), baseline)
    show(meter, comparisons, console)
    return report_regressions(meter, comparisons, baseline, console)


def main() -> int:
    """Return the exit status: 0 without a regression, 1 with one, 2 if the measurement failed."""
    parser = argparse.ArgumentParser(prog="python -m bench.check", description=__doc__)
    parser.add_argument("--update", action="store_true", help="accept the current cost: write the baseline")
    default = "instructions" if has_valgrind() else "time"
    parser.add_argument("--meter", choices=("instructions", "time"), default=default, help="default here: %(default)s")
    options = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 140)
    return run_program(update_baseline(console) if options.update else check(options.meter, console))


if __name__ == "__main__":
    sys.exit(main())
