"""Measure Switchboard against the floor and its peers: `python -m bench [--peers] [--quick] [--out FOLDER]`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rich.console import Console

from bench.pictures import draw
from bench.plan import QUICK, Plan
from bench.program import print_progress, run_program
from bench.run import run_benchmark
from bench.servers import FLOOR, LITELLM_PROXY, PROVIDER, SWITCHBOARD, install_peers
from bench.workers import compare_workers


def main() -> int:
    """Return the exit status: 0 for success, 1 if Switchboard or the provider broke an answer, 2 if the run failed."""
    return run_program(_main(_options()))


async def _main(options: argparse.Namespace) -> int:
    console = Console(width=None if sys.stdout.isatty() else 190)
    if options.workers:
        (await compare_workers(options.rounds, options.seconds, print_progress)).show(console)
        return 0
    servers = [] if options.provider_only else [SWITCHBOARD, FLOOR]
    if options.peers:
        await install_peers()
        servers.append(LITELLM_PROXY)
    plan = QUICK if options.quick else Plan(rounds=options.rounds, seconds=options.seconds)
    report = await run_benchmark(plan, servers, print_progress)
    report.show(console)
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        written = report.save(options.out / "bench.json")
        pictures = draw(written, options.out)
        print_progress(f"written: {', '.join(map(str, (options.out / 'bench.json', *pictures)))}")
    return 1 if report.lost.get(SWITCHBOARD.name) or report.lost[PROVIDER.name] else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--peers", action="store_true", help="measure LiteLLM Proxy too, in the same run")
    parser.add_argument("--workers", action="store_true", help="only compare one worker with two")
    parser.add_argument("--quick", action="store_true", help="one short round, to check that everything works")
    parser.add_argument(
        "--provider-only", action="store_true", help="measure the provider and the load generator without any server"
    )
    parser.add_argument("--rounds", type=int, default=4, help="number of rounds (%(default)s)")
    parser.add_argument("--seconds", type=float, default=3.0, help="duration of each throughput load (%(default)s)")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="write bench.json and the pictures there")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
