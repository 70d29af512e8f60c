"""The cost of a turn in executed instructions, counted by valgrind: the same on a busy machine as on a quiet one."""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from bench import loads
from bench.load import Load
from bench.processes import BenchFailed, Cores
from bench.scenarios import SCENARIOS, Costs, repeatable
from bench.servers import FLOOR, SWITCHBOARD, Server, Serving, provider, served_names

ROUNDS = 3
WARM_UP = 25
"""Turns before the first that counts."""


def can_count() -> bool:
    """Whether valgrind is installed."""
    return shutil.which("valgrind") is not None and shutil.which("callgrind_control") is not None


async def counted(rounds: int, say: Callable[[str], None]) -> dict[str, Costs]:
    """Put every scenario on the floor and on Switchboard. Raises BenchFailed, also for a broken answer."""
    anywhere = Cores(frozenset(), frozenset())
    costs: dict[str, Costs] = {scenario.name: ([], []) for scenario in SCENARIOS}
    with tempfile.TemporaryDirectory(prefix="switchboard-bench-") as name:
        directory = Path(name)
        async with provider(directory, anywhere, loads.MODELS):
            for kept, server in enumerate((SWITCHBOARD, FLOOR)):
                say(f"starting {server.name} under valgrind")
                slow = watched(repeatable(server), directory)
                async with slow.serving(directory, frozenset(), served_names(loads.MODELS)) as serving:
                    counter = await Counter.begin(serving, directory / f"{server.name}.out")
                    for number in range(rounds):
                        for scenario in SCENARIOS:
                            say(f"{server.name}, round {number + 1} of {rounds}: {scenario.name}")
                            costs[scenario.name][kept].append(await counter.cost(scenario.counted))
    return costs


@dataclass(slots=True)
class Counter:
    """Reads how many instructions a server under valgrind has executed. `dumps` counts the files that it wrote."""

    serving: Serving
    file: Path
    dumps: int = 0

    @classmethod
    async def begin(cls, serving: Serving, file: Path) -> Counter:
        """Warm the server up; only then is anything counted, since counting is slow."""
        for scenario in SCENARIOS:
            await replace(scenario.counted, turns=WARM_UP // len(SCENARIOS)).run(serving.target)
        counter = cls(serving, file)
        await counter._control("--instr=on")
        return counter

    async def cost(self, load: Load) -> float:
        """Instructions for each turn of the load."""
        await self._control("--zero")
        heard = await load.run(self.serving.target)
        await self._control("--dump")
        self.dumps += 1
        if heard.broken:
            raise BenchFailed(f"{self.serving.target.name} gave broken answers, for example: {heard.broken[0]}")
        return total(self.file.with_name(f"{self.file.name}.{self.dumps}")) / len(heard.turns)

    async def _control(self, what: str) -> None:
        command = ("callgrind_control", what, str(self.serving.process.pid))
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=asyncio.subprocess.STDOUT)
        said, _ = await process.communicate()
        if process.returncode:
            raise BenchFailed(f"{' '.join(command)} failed: {said.decode()[-500:]}")


def watched(server: Server, directory: Path) -> Server:
    """The same server under valgrind, which counts nothing until it is told to."""
    command = server.command if server.command[0] == sys.executable else (sys.executable, *server.command)
    file = directory / f"{server.name}.out"
    valgrind = ("valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={file}")
    return replace(server, command=(*valgrind, *command))


def total(file: Path) -> float:
    """The instructions in a file that callgrind wrote. Raises BenchFailed."""
    lines = file.read_text().splitlines()
    found = next((line for line in reversed(lines) if line.startswith("totals:")), None)
    if found is None:
        raise BenchFailed(f"valgrind wrote no total into {file.name}")
    return float(found.split()[1])
