"""`python -m bench.exam [--fast] [--only NAME ...] [--markdown]`: what a caller notices when providers fail."""

from __future__ import annotations

import argparse
import asyncio
import sys

import uvloop
from rich.console import Console

from bench.exam.catalogue import SCENARIOS
from bench.exam.examination import Result, examine
from bench.exam.profile import FAST, NORMAL
from bench.exam.report import markdown, show
from bench.processes import BenchFailed

LIMIT = 300.0
"""Seconds that a whole exam may take."""


def main() -> int:
    """The exit status: 0 when nothing failed, 1 when something did, 2 when the exam could not be held."""
    options = _options()
    profile = FAST if options.fast else NORMAL
    chosen = [each for each in SCENARIOS if not options.only or each.name in options.only]
    if unknown := set(options.only) - {each.name for each in SCENARIOS}:
        print(f"there is no scenario {', '.join(sorted(unknown))}; there are: "
              f"{', '.join(each.name for each in SCENARIOS)}", file=sys.stderr)  # fmt: skip
        return 2

    async def run() -> list[Result]:
        async with asyncio.timeout(LIMIT):
            return await examine(chosen, profile)

    try:
        results = uvloop.run(run())
    except BenchFailed as exc:
        print(exc, file=sys.stderr)
        return 2
    except TimeoutError:
        print(f"the exam took longer than {LIMIT:g} s", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    if options.markdown:
        print(markdown(results, profile))
    else:
        show(results, profile, Console(width=None if sys.stdout.isatty() else 140))
    return 1 if any(result.verdict == "fail" for result in results) else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.exam", description=__doc__)
    parser.add_argument("--fast", action="store_true", help="with the timeouts scaled down")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="these scenarios alone")
    parser.add_argument("--markdown", action="store_true", help="the table for docs/failover.md")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
