"""Test failover from the caller's side: `python -m bench.exam [--fast] [--only NAME ...] [--markdown]`."""

from __future__ import annotations

import argparse
import sys

from rich.console import Console

from bench.exam.catalogue import SCENARIOS
from bench.exam.profile import FAST, NORMAL
from bench.exam.report import markdown, show
from bench.exam.runner import run_exam
from bench.program import run_program

TIME_LIMIT = 300.0
"""Seconds."""


def main() -> int:
    """Return the exit status: 0 if no scenario fails, 1 if one does, 2 if the exam could not run."""
    options = _options()
    names = [each.name for each in SCENARIOS]
    if unknown := set(options.only) - set(names):
        print(f"unknown scenario: {', '.join(sorted(unknown))}; known: {', '.join(names)}", file=sys.stderr)
        return 2
    return run_program(_main(options), TIME_LIMIT)


async def _main(options: argparse.Namespace) -> int:
    profile = FAST if options.fast else NORMAL
    results = await run_exam([each for each in SCENARIOS if not options.only or each.name in options.only], profile)
    if options.markdown:
        print(markdown(results, profile))
    else:
        show(results, profile, Console(width=None if sys.stdout.isatty() else 140))
    return 1 if any(result.verdict == "fail" for result in results) else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.exam", description=__doc__)
    parser.add_argument("--fast", action="store_true", help="use short timeouts")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="run only these scenarios")
    parser.add_argument("--markdown", action="store_true", help="print the table for docs/failover.md")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
