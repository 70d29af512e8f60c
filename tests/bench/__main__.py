"""`python -m tests.bench [--peers] [--quick] [--json FILE]`: how fast Switchboard is here, and against whom."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from pathlib import Path

import uvloop
from rich.console import Console

from tests.bench.processes import BenchFailed
from tests.bench.run import QUICK, Plan, bench
from tests.bench.servers import LITELLM_PROXY, SWITCHBOARD, VENDOR, install_peers

LIMIT = 3600.0
"""Seconds that a whole run may take."""


def main() -> int:
    """The exit status: 0 when every answer was whole, 1 when Switchboard broke one, 2 when the bench could not run."""
    options = _options()
    try:
        status: int = uvloop.run(_main(options))
        return status
    except BenchFailed as exc:
        print(exc, file=sys.stderr)
        return 2
    except TimeoutError:
        print(f"the bench took longer than {LIMIT:g} s", file=sys.stderr)
        return 2
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("stopped", file=sys.stderr)
        return 130


async def _main(options: argparse.Namespace) -> int:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    servers = [] if options.vendor_only else [SWITCHBOARD]
    if options.peers:
        await install_peers()
        servers.append(LITELLM_PROXY)
    plan = QUICK if options.quick else Plan(rounds=options.rounds, seconds=options.seconds)
    console, progress = Console(width=None if sys.stdout.isatty() else 160), Console(stderr=True)
    async with asyncio.timeout(LIMIT):
        report = await bench(plan, servers, lambda text: progress.print(text, style="dim"))
    report.show(console)
    if options.json:
        report.save(options.json)
    return 1 if report.lost.get(SWITCHBOARD.name) or report.lost[VENDOR.name] else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--peers", action="store_true", help="measure LiteLLM Proxy too, in the same run")
    parser.add_argument("--quick", action="store_true", help="one short round, to see that everything works")
    parser.add_argument("--vendor-only", action="store_true", help="leave Switchboard out: what vendor and load can do")
    parser.add_argument("--rounds", type=int, default=5, help="how often everything is measured (%(default)s)")
    parser.add_argument("--seconds", type=float, default=4.0, help="for each rate (%(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to FILE")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
