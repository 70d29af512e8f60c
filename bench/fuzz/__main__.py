"""Fuzz every API and the sockets below: `python -m bench.fuzz [--cases 100000] [--seed 1] [--minutes 600]`."""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict

from rich.console import Console
from rich.table import Table

from bench.fuzz.operations import Findings
from bench.fuzz.run import FuzzResult, fuzz
from bench.program import print_progress, run_program

TIME_LIMIT = 12 * 3600.0
"""Seconds."""


def main() -> int:
    """Return the exit status: 0 without faults, 1 with one, 2 if the run could not begin."""
    options = _options()
    return run_program(_main(options), TIME_LIMIT)


async def _main(options: argparse.Namespace) -> int:
    result = await fuzz(options.cases, options.seed, options.minutes * 60, print_progress)
    show(result, Console(width=None if sys.stdout.isatty() else 120))
    return 1 if result.findings.faults else 0


def show(result: FuzzResult, console: Console) -> None:
    """Print the figures, and each kind of fault with the request that shows it."""
    findings = result.findings
    console.print(_operations(findings))
    console.print(
        f"{findings.cases.total()} cases, of which {sum(findings.statuses.values())} were answered; another caller got "
        f"{result.answers} answers meanwhile, the slowest after {result.longest_wait:.1f} s",
        markup=False,
    )
    for fault, count in findings.faults.most_common():
        lines = (f"\n{count} x {fault.check} | {fault.operation} | {fault.title}", fault.details[:2000], fault.command)
        console.print(*filter(None, lines), sep="\n", markup=False, highlight=False)
    console.print("FAILED" if findings.faults else "passed", markup=False)


def _operations(findings: Findings) -> Table:
    table = Table("operation", "cases", "statuses")
    statuses: defaultdict[str, dict[int, int]] = defaultdict(dict)
    for (operation, status), count in findings.statuses.items():
        statuses[operation][status] = count
    for operation, count in sorted(findings.cases.items()):
        answered = ", ".join(f"{status}: {number}" for status, number in sorted(statuses[operation].items()))
        table.add_row(operation, str(count), answered)
    return table


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=100_000, help="requests and connections (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the generated cases (%(default)s)")
    parser.add_argument("--minutes", type=float, default=600.0, help="no round begins afterwards (%(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
