"""Run all faults at once for a long time and look for leaks: `python -m bench.soak [--minutes 10] [--callers 30]`."""

from __future__ import annotations

import argparse
import sys

from rich.console import Console
from rich.table import Table

from bench.memory import memory_growth
from bench.program import print_progress, run_program
from bench.soak.load_generator import OUTCOMES
from bench.soak.run import SoakResult, soak

EXTRA_TIME = 180.0
"""Seconds that starting, warming up and settling may take."""


def main() -> int:
    """Return the exit status: 0 without failures, 1 with a broken turn or a leak, 2 if the soak could not run."""
    options = _options()
    return run_program(_main(options), options.minutes * 60 + EXTRA_TIME)


async def _main(options: argparse.Namespace) -> int:
    result = await soak(options.minutes * 60, options.callers, options.seed, print_progress)
    _show(result, options.callers, Console(width=None if sys.stdout.isatty() else 120))
    return 1 if result.failures() else 0


def _show(result: SoakResult, callers: int, console: Console) -> None:
    counts = result.outcomes
    console.print(f"Soak: {result.seconds:g} s, {callers} callers, {counts.turns.total()} turns", markup=False)
    console.print(_resource_table(result))
    console.print(
        f"memory over time: {' '.join(f'{each:.0f}' for each in result.memory[::4])} MB; "
        f"second quarter to last: {memory_growth(result.memory):+.1f} MB",
        markup=False,
    )
    console.print(_outcome_table(result))
    for line in (*counts.broken, *result.failures()):
        console.print(line, markup=False)
    console.print("FAILED" if result.failures() else "passed", markup=False)


def _resource_table(result: SoakResult) -> Table:
    before, after = result.before, result.after
    table = Table("", "before", "after")
    for kind in ("threads", "descriptors", "sockets"):
        table.add_row(kind, str(getattr(before, kind)), str(getattr(after, kind)))
    table.add_row("memory", f"{before.memory:.1f} MB", f"{after.memory:.1f} MB")
    table.add_row("asyncio tasks", *map(str, result.tasks))
    table.add_row("attempts in flight", "0", str(result.in_flight))
    table.add_row("connections to the provider", "0", str(result.provider_connections))
    return table


def _outcome_table(result: SoakResult) -> Table:
    counts = result.outcomes
    table = Table("model", *OUTCOMES, "errors")
    for model in sorted({model for model, _ in counts.turns}):
        errors = ", ".join(f"{number} {code}" for (each, code), number in counts.errors.items() if each == model)
        table.add_row(model, *(str(counts.turns[model, outcome] or "-") for outcome in OUTCOMES), errors)
    table.add_row("all", *(str(counts.count(outcome)) for outcome in OUTCOMES))
    return table


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="duration (%(default)s)")
    parser.add_argument("--callers", type=int, default=30, help="concurrent callers (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the random traffic (%(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
