"""Run everything at once for a long time, let things go wrong, and count: `python -m bench.soak [--minutes 15]`."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from rich.console import Console

from bench.program import print_progress, run_program
from bench.soak.pictures import draw
from bench.soak.report import save, show
from bench.soak.run import Soak
from bench.soak.timetable import TIMETABLE

EXTRA_TIME = 600.0
"""Seconds that starting, warming up, settling and the checks may take."""


def main() -> int:
    """Return the exit status: 0; 1 if something was lost, doubled, broken or leaked; 2 if the soak could not run."""
    options = _options()
    return run_program(_main(options), options.minutes * 60 + EXTRA_TIME)


async def _main(options: argparse.Namespace) -> int:
    soak = Soak(options.minutes * 60, options.streams, options.seed, events=TIMETABLE, logs=options.logs)
    result = await soak.run(print_progress)
    show(result, Console(width=None if sys.stdout.isatty() else 150))
    if options.out is not None:
        report = await asyncio.to_thread(save, result, options.out / "soak.json")
        draw(report, options.out / "soak.png")
    return 1 if result.failures() else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=15.0, help="duration, at least 2 for all events (%(default)s)")
    parser.add_argument("--streams", type=int, default=200, help="concurrent callers (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the random traffic (%(default)s)")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="write soak.json and soak.png there")
    parser.add_argument("--logs", type=Path, metavar="FOLDER", help="copy the servers' logs there")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
