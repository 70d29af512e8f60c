"""Measures the cost of a turn in executed instructions, which do not depend on how busy the machine is."""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from bench import loads
from bench.cost_scenarios import COST_SCENARIOS, Costs, with_fixed_hash_seed
from bench.load import Load
from bench.load_run import require_unbroken
from bench.processes import BenchError, Cores
from bench.program import Progress
from bench.servers import FLOOR, SWITCHBOARD, RunningServer, Server, run_provider, served_names

ROUNDS = 3
WARM_UP_TURNS = 25


def has_valgrind() -> bool:
    return shutil.which("valgrind") is not None and shutil.which("callgrind_control") is not None


async def measure_instructions(rounds: int, progress: Progress) -> dict[str, Costs]:
    """Run every scenario on Switchboard and the floor under valgrind. Raises BenchError, also for a broken answer."""
    any_core = Cores(frozenset(), frozenset())
    costs: dict[str, Costs] = {scenario.name: ([], []) for scenario in COST_SCENARIOS}
    with tempfile.TemporaryDirectory(prefix="switchboard-bench-") as name:
        directory = Path(name)
        async with run_provider(directory, any_core, loads.MODELS):
            for side, server in enumerate((SWITCHBOARD, FLOOR)):
                progress(f"starting {server.name} under valgrind")
                traced = under_valgrind(with_fixed_hash_seed(server), directory)
                async with traced.run(directory, frozenset(), served_names(loads.MODELS)) as running:
                    counter = await InstructionCounter.start(running, directory / f"{server.name}.out")
                    for number in range(rounds):
                        for scenario in COST_SCENARIOS:
                            progress(f"{server.name}, round {number + 1} of {rounds}: {scenario.name}")
                            costs[scenario.name][side].append(await counter.measure(scenario.instruction_load))
    return costs


@dataclass(slots=True)
class InstructionCounter:
    """Counts the instructions of a server under valgrind. `dumps` is the number of files that callgrind has written."""

    server: RunningServer
    file: Path
    dumps: int = 0

    @classmethod
    async def start(cls, server: RunningServer, file: Path) -> InstructionCounter:
        """Warm the server up, then turn counting on: counting slows the server down."""
        for scenario in COST_SCENARIOS:
            await replace(scenario.instruction_load, turns=WARM_UP_TURNS // len(COST_SCENARIOS)).run(server.target)
        counter = cls(server, file)
        await counter._control("--instr=on")
        return counter

    async def measure(self, load: Load) -> float:
        """Run the load; return the instructions per turn. Raises BenchError."""
        await self._control("--zero")
        result = await load.run(self.server.target)
        await self._control("--dump")
        self.dumps += 1
        require_unbroken(result, self.server)
        return total_instructions(self.file.with_name(f"{self.file.name}.{self.dumps}")) / len(result.turns)

    async def _control(self, option: str) -> None:
        command = ("callgrind_control", option, str(self.server.process.pid))
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=asyncio.subprocess.STDOUT)
        output, _ = await process.communicate()
        if process.returncode:
            raise BenchError(f"{' '.join(command)} failed: {output.decode()[-500:]}")


def under_valgrind(server: Server, directory: Path) -> Server:
    """Return the server under callgrind, with counting off until `callgrind_control` turns it on."""
    command = server.command if server.command[0] == sys.executable else (sys.executable, *server.command)
    file = directory / f"{server.name}.out"
    valgrind = ("valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={file}")
    return replace(server, command=(*valgrind, *command))


def total_instructions(file: Path) -> float:
    """Read the total from a file of callgrind. Raises BenchError."""
    lines = file.read_text().splitlines()
    totals = next((line for line in reversed(lines) if line.startswith("totals:")), None)
    if totals is None:
        raise BenchError(f"valgrind wrote no total into {file.name}")
    return float(totals.split()[1])
