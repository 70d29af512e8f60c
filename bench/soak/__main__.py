"""`python -m bench.soak [--minutes 10] [--callers 30]`: all faults at once, for long, and nothing is left behind."""

from __future__ import annotations

import argparse
import asyncio
import sys

import uvloop
from rich.console import Console
from rich.table import Table

from bench.processes import BenchFailed
from bench.soak.figures import growth
from bench.soak.run import Soaked, soak


def main() -> int:
    """The exit status: 0 when every turn was whole, a clean error or hung up and nothing leaked; 1 when not; 2 when it
    could not run.
    """
    options = _options()
    progress = Console(stderr=True)

    async def run() -> Soaked:
        async with asyncio.timeout(options.minutes * 60 + 180):
            return await soak(
                options.minutes * 60, options.callers, options.seed, lambda text: progress.print(text, style="dim")
            )

    try:
        soaked = uvloop.run(run())
    except BenchFailed as exc:
        print(exc, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    _show(soaked, options.callers, Console(width=None if sys.stdout.isatty() else 120))
    return 1 if soaked.faults() else 0


def _show(soaked: Soaked, callers: int, console: Console) -> None:
    turns = soaked.tally.turns
    console.print(f"Soak: {soaked.seconds:g} s, {callers} callers, {sum(turns.values())} turns", markup=False)
    held = Table("", "before", "after")
    for kind in ("threads", "descriptors", "sockets"):
        held.add_row(kind, str(getattr(soaked.before, kind)), str(getattr(soaked.after, kind)))
    held.add_row("memory", f"{soaked.before.memory:.1f} MB", f"{soaked.after.memory:.1f} MB")
    held.add_row("asyncio tasks", *map(str, soaked.tasks))
    held.add_row("attempts under way", "0", str(soaked.in_flight))
    held.add_row("lines to the provider", "0", str(soaked.provider_lines))
    console.print(held)
    console.print(f"memory over time: {' '.join(f'{each:.0f}' for each in soaked.memory[::4])} MB; "
                  f"second quarter to last: {growth(soaked.memory):+.1f} MB", markup=False)  # fmt: skip
    outcomes = ("whole", "clean error", "hung up", "broken")
    ended = Table("model", *outcomes, "errors")
    for model in sorted({model for model, _ in turns}):
        ended.add_row(model, *(str(turns[model, outcome] or "-") for outcome in outcomes), _errors(soaked, model))  # type: ignore[index]
    ended.add_row("all", *(str(soaked.tally.count(outcome)) for outcome in outcomes))  # type: ignore[arg-type]
    console.print(ended)
    for line in (*soaked.tally.broken, *soaked.faults()):
        console.print(line, markup=False)
    console.print("not good" if soaked.faults() else "all well", markup=False)


def _errors(soaked: Soaked, model: str) -> str:
    return ", ".join(f"{number} {code}" for (each, code), number in soaked.tally.errors.items() if each == model)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--callers", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1, help="decides who asks for what (%(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
