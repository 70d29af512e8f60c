"""Measure phone calls on one core: `python -m bench.phone [--calls 512] [--seconds 60] [--without-pauses]`.

Prints the time to first token on the relay beside that of chat completions and of sessions, in turns that alternate;
then, with many calls whose answers come at 20 tokens per second, the gaps between tokens and the silence after an
interrupt. Callers listen until an answer is played and then speak; without pauses all calls speak all the time.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.machine import describe_machine
from bench.phone.first_token import MODEL, first_tokens
from bench.phone.many_calls import SPOKEN, ManyCalls, call_many
from bench.processes import Cores, pinned
from bench.program import print_progress, run_program
from bench.quantiles import quantile
from bench.servers import SWITCHBOARD, Server, run_provider, served_names

MAX_GAP = 0.06
MAX_SILENCE = 0.05
"""Seconds; the aims for the p99 at the full load."""


def main() -> int:
    """Return the exit status: 0 if the aims are met."""
    parser = argparse.ArgumentParser(prog="python -m bench.phone", description=__doc__)
    parser.add_argument("--calls", type=int, default=512, help="calls at the same time (%(default)s)")
    parser.add_argument("--seconds", type=float, default=60.0, help="duration of the full load (%(default)s)")
    parser.add_argument("--without-pauses", action="store_true", help="all calls speak all the time")
    parser.add_argument("--database", help="of the sessions, such as postgresql://...; default: a SQLite file")
    parser.add_argument("--turns", type=int, default=200, help="turns for the time to first token (%(default)s)")
    return run_program(_main(parser.parse_args()))


async def _main(options: argparse.Namespace) -> int:
    cores = Cores.of_this_machine()
    names = served_names([MODEL, SPOKEN])
    console = Console(width=None if sys.stdout.isatty() else 100)
    console.print(describe_machine(cores), markup=False)
    with tempfile.TemporaryDirectory(prefix="switchboard-bench-") as name, pinned(cores.load):
        folder = Path(name)
        async with run_provider(folder, cores, list(names)) as provider:
            async with _switchboard(options.database).run(folder, cores.server, names) as server:
                print_progress("the first token of one caller")
                console.print(_first_token_table(await first_tokens(server.target, options.turns)))
                print_progress(f"{options.calls} calls for {options.seconds:g} s")
                cpu = {"server": server.process.cpu, "provider": provider.process.cpu, "callers": time.process_time}
                figures = await call_many(
                    server.target, options.calls, options.seconds, pauses=not options.without_pauses, cpu=cpu
                )
    return _show(figures, options.calls, console)


def _switchboard(database: str | None) -> Server:
    more = (("SWITCHBOARD_DATABASE_URL", database),) if database else ()
    return replace(SWITCHBOARD, environment=(*SWITCHBOARD.environment, *more))


def _first_token_table(times: dict[str, list[float]]) -> Table:
    table = Table("first token, ms", "p10", "p50", "p99")
    for wire, seconds in times.items():
        table.add_row(wire, *(f"{1000 * quantile(seconds, share):.2f}" for share in (0.1, 0.5, 0.99)))
    return table


def _show(figures: ManyCalls, calls: int, console: Console) -> int:
    gap, silence = quantile(figures.gaps, 0.99), quantile(figures.silences, 0.99)
    table = Table(f"{calls} calls", "p50", "p99", "largest", "aim")
    for name, values, aim in (
        ("gap between tokens, ms", figures.gaps, f"p99 < {1000 * MAX_GAP:.0f}"),
        ("silence after an interrupt, ms", figures.silences, f"p99 < {1000 * MAX_SILENCE:.0f}"),
        ("first token, ms", figures.first_tokens, ""),
    ):
        shown = (quantile(values, 0.5), quantile(values, 0.99), max(values, default=0.0))
        table.add_row(name, *(f"{1000 * each:.1f}" for each in shown), aim)
    console.print(table)
    console.print(
        f"{figures.turns} turns, {len(figures.silences)} interrupted, {len(figures.broken)} broken; "
        f"{len(figures.gaps)} gaps in {figures.seconds:.1f} s; CPU of one core: "
        + ", ".join(f"{name} {seconds / figures.seconds:.0%}" for name, seconds in figures.cpu.items()),
        markup=False,
    )
    for text in figures.broken[:3]:
        console.print(text[:300], markup=False)
    return 0 if not figures.broken and gap < MAX_GAP and silence < MAX_SILENCE else 1


if __name__ == "__main__":
    sys.exit(main())
