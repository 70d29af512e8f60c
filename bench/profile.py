"""Show the CPU time of a turn by layer: `python -m bench.profile [--seconds 15]`."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench import loads
from bench.layers import inside_event_loop, layers_in, own_layer
from bench.load import Load, LoadResult
from bench.load_run import run_load_unbroken
from bench.processes import BenchError, Cores, pinned
from bench.program import run_program
from bench.servers import SWITCHBOARD, RunningServer, run_provider, served_names

Stacks = Sequence[tuple[Sequence[str], int]]
"""Stacks, innermost source file first, each with its number of samples."""


@dataclass(frozen=True, slots=True)
class CpuProfile:
    """CPU samples by layer.

    own: samples in the layer's own code.
    cumulative: samples with the layer anywhere in the stack.
    ms_per_turn: CPU time of a turn in ms, including that of the sampler.
    """

    own: Counter[str]
    cumulative: Counter[str]
    ms_per_turn: float

    @classmethod
    def of(cls, stacks: Stacks, ms_per_turn: float) -> CpuProfile:
        """Count the samples by layer."""
        own: Counter[str] = Counter()
        cumulative: Counter[str] = Counter()
        for files, samples in stacks:
            called = inside_event_loop(files)
            layer = own_layer(called)
            own[layer] += samples
            for each in layers_in(called) | {layer}:
                cumulative[each] += samples
        return cls(own, cumulative, ms_per_turn)

    def show(self, title: str, console: Console) -> None:
        """Print the profile as a table, the most expensive layer first."""
        total = self.own.total() or 1
        table = Table(
            title=f"{title}: {self.ms_per_turn:.2f} ms of CPU time a turn, {total} samples", title_justify="left"
        )
        for column in ("layer", "own ms", "own", "with all that it calls"):
            table.add_column(column, justify="left" if column == "layer" else "right")
        for layer, samples in self.own.most_common():
            share, cumulative = samples / total, self.cumulative[layer] / total
            table.add_row(layer, f"{share * self.ms_per_turn:.3f}", f"{share:.1%}", f"{cumulative:.0%}")
        console.print(table)


async def profile_loads(seconds: float, profiled: dict[str, Load]) -> dict[str, CpuProfile]:
    """Run each load for `seconds` on Switchboard with the sampler. Raises BenchError."""
    cores = Cores.of_this_machine()
    with pinned(cores.load), tempfile.TemporaryDirectory(prefix="switchboard-bench-") as name:
        directory = Path(name)
        samples = directory / "samples.json"
        command = (sys.executable, "-m", "bench.sampler", str(samples), *SWITCHBOARD.command[1:])
        async with (
            run_provider(directory, cores, loads.MODELS) as provider,
            replace(SWITCHBOARD, command=command).run(
                directory, cores.server, served_names(loads.MODELS)
            ) as switchboard,
        ):
            profiles = {}
            for title, load in profiled.items():
                await replace(load, seconds=min(1.0, seconds)).run(switchboard.target)
                result, stacks = await _sample(replace(load, seconds=seconds), switchboard, provider, samples)
                profiles[title] = CpuProfile.of(stacks, result.cpu_per_turn * 1000)
            return profiles


async def _sample(
    load: Load, switchboard: RunningServer, provider: RunningServer, samples: Path
) -> tuple[LoadResult, Stacks]:
    """Run the load with sampling on."""
    samples.unlink(missing_ok=True)
    os.kill(switchboard.process.pid, signal.SIGUSR1)
    result = await run_load_unbroken(load, switchboard, provider)
    os.kill(switchboard.process.pid, signal.SIGUSR2)
    deadline = time.monotonic() + 10
    while not samples.exists():
        if time.monotonic() > deadline:
            raise BenchError("the server did not write its samples within 10 s")
        await asyncio.sleep(0.05)
    return result, json.loads(samples.read_text())


def main() -> int:
    """Return the exit status: 0, or 2 if the measurement failed."""
    parser = argparse.ArgumentParser(prog="python -m bench.profile", description=__doc__)
    parser.add_argument("--seconds", type=float, default=15.0, help="duration of each load (%(default)s)")
    return run_program(_main(parser.parse_args().seconds))


async def _main(seconds: float) -> int:
    profiled = {
        "streamed turn, unpaced": Load(loads.UNPACED, callers=8),
        "streamed turn, chunks 1 ms apart": Load(loads.SPACED, callers=32),
        "non-stream turn": Load(loads.UNPACED, callers=16, stream=False),
    }
    console = Console(width=None if sys.stdout.isatty() else 120)
    for title, profile in (await profile_loads(seconds, profiled)).items():
        profile.show(title, console)
    return 0


if __name__ == "__main__":
    sys.exit(main())
