"""`python -m bench [--peers] [--workers] [--quick] [--out FOLDER]`: how fast Switchboard is, and against whom."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rich.console import Console

from bench.pictures import draw
from bench.plan import QUICK, Plan
from bench.program import run
from bench.run import bench
from bench.servers import FLOOR, LITELLM_PROXY, PROVIDER, SWITCHBOARD, install_peers
from bench.workers import compare_workers


def main() -> int:
    """The exit status: 0 when every answer was whole, 1 when Switchboard broke one, 2 when the bench could not run."""
    return run(_main(_options()))


async def _main(options: argparse.Namespace) -> int:
    console, progress = Console(width=None if sys.stdout.isatty() else 190), Console(stderr=True)

    def say(text: str) -> None:
        progress.print(text, style="dim")

    if options.workers:
        (await compare_workers(options.rounds, options.seconds, say)).show(console)
        return 0
    servers = [] if options.provider_only else [SWITCHBOARD, FLOOR]
    if options.peers:
        await install_peers()
        servers.append(LITELLM_PROXY)
    plan = QUICK if options.quick else Plan(rounds=options.rounds, seconds=options.seconds)
    report = await bench(plan, servers, say)
    report.show(console)
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        written = report.save(options.out / "bench.json")
        pictures = draw(written, options.out)
        say(f"written: {', '.join(map(str, (options.out / 'bench.json', *pictures)))}")
    return 1 if report.lost.get(SWITCHBOARD.name) or report.lost[PROVIDER.name] else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--peers", action="store_true", help="measure LiteLLM Proxy too, in the same run")
    parser.add_argument("--workers", action="store_true", help="measure one worker against two instead")
    parser.add_argument("--quick", action="store_true", help="one short round, to see that everything works")
    parser.add_argument(
        "--provider-only", action="store_true", help="leave the servers out: what provider and load can do"
    )
    parser.add_argument("--rounds", type=int, default=4, help="how often everything is measured (%(default)s)")
    parser.add_argument("--seconds", type=float, default=3.0, help="for each rate (%(default)s)")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="write bench.json and the pictures there")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
