"""`python -m bench.profile`: where the CPU time of a turn goes, layer by layer."""

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
from bench.layers import in_loop, layers_in, own_layer
from bench.load import Heard, Load
from bench.processes import BenchFailed, Cores, pinned
from bench.program import run
from bench.put import put
from bench.servers import ROOT, SWITCHBOARD, Serving, provider, served_names

Stacks = Sequence[tuple[Sequence[str], int]]


@dataclass(frozen=True, slots=True)
class Profile:
    """`own` counts the samples in a layer's own code, `inside` those with the layer anywhere in the stack.

    `per_turn` is the CPU time of a turn in ms, the sampling of it included.
    """

    own: Counter[str]
    inside: Counter[str]
    per_turn: float

    @classmethod
    def of(cls, stacks: Stacks, per_turn: float) -> Profile:
        """Count the samples layer by layer."""
        own: Counter[str] = Counter()
        inside: Counter[str] = Counter()
        for files, times in stacks:
            called = in_loop(files)
            layer = own_layer(called)
            own[layer] += times
            for each in layers_in(called) | {layer}:
                inside[each] += times
        return cls(own, inside, per_turn)

    def show(self, title: str, console: Console) -> None:
        """Print it as a table, the dearest layer first."""
        total = self.own.total() or 1
        table = Table(
            title=f"{title}: {self.per_turn:.2f} ms of CPU time a turn, {total} samples", title_justify="left"
        )
        for column in ("layer", "own ms", "own", "with all that it calls"):
            table.add_column(column, justify="left" if column == "layer" else "right")
        for layer, times in self.own.most_common():
            share = times / total
            table.add_row(layer, f"{share * self.per_turn:.3f}", f"{share:.1%}", f"{self.inside[layer] / total:.0%}")
        console.print(table)


async def profiles(seconds: float, asked: dict[str, Load]) -> dict[str, Profile]:
    """Start Switchboard with a sampler, put each load on it, and read the samples. Raises BenchFailed."""
    cores = Cores.of_this_machine()
    with pinned(cores.load), tempfile.TemporaryDirectory(prefix="switchboard-bench-") as name:
        directory = Path(name)
        samples = directory / "samples.json"
        command = (sys.executable, "-m", "bench.sampled", str(samples), *SWITCHBOARD.command[1:])
        environment = (*SWITCHBOARD.environment, ("PYTHONPATH", str(ROOT)))
        server = replace(SWITCHBOARD, command=command, environment=environment)
        async with (
            provider(directory, cores, loads.MODELS) as own,
            server.serving(directory, cores.server, served_names(loads.MODELS)) as serving,
        ):
            found = {}
            for title, load in asked.items():
                await replace(load, seconds=min(1.0, seconds)).run(serving.target)
                heard, stacks = await _sampled(replace(load, seconds=seconds), serving, own, samples)
                found[title] = Profile.of(stacks, heard.cpu_per_turn * 1000)
            return found


async def _sampled(load: Load, serving: Serving, own: Serving, samples: Path) -> tuple[Heard, Stacks]:
    samples.unlink(missing_ok=True)
    os.kill(serving.process.pid, signal.SIGUSR1)
    heard = await put(load, serving, own)
    os.kill(serving.process.pid, signal.SIGUSR2)
    if heard.broken:
        raise BenchFailed(f"{len(heard.broken)} broken answers, for example: {heard.broken[0]}")
    until = time.monotonic() + 10
    while not samples.exists():
        if time.monotonic() > until:
            raise BenchFailed("the server did not write its samples")
        await asyncio.sleep(0.05)
    return heard, json.loads(samples.read_text())


def main() -> int:
    """The exit status: 0, or 2 when it could not run."""
    parser = argparse.ArgumentParser(prog="python -m bench.profile", description=__doc__)
    parser.add_argument("--seconds", type=float, default=15.0, help="of load for each table (%(default)s)")
    return run(_main(parser.parse_args().seconds))


async def _main(seconds: float) -> int:
    asked = {
        "streamed turn, unpaced": Load(loads.UNPACED, callers=8),
        "streamed turn, chunks 1 ms apart": Load(loads.SPACED, callers=32),
        "non-stream turn": Load(loads.UNPACED, callers=16, stream=False),
    }
    console = Console(width=None if sys.stdout.isatty() else 120)
    for title, profile in (await profiles(seconds, asked)).items():
        profile.show(title, console)
    return 0


if __name__ == "__main__":
    sys.exit(main())
