"""Processes on cores of their own: started, waited for, weighed and stopped."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

START_LIMIT = 180.0
"""Seconds that a server may take to answer its health check."""


class BenchFailed(Exception):
    """The bench cannot go on; the message says why."""


@dataclass(frozen=True, slots=True)
class Cores:
    """Which cores belong to the server, and which to the provider and the load."""

    server: frozenset[int]
    load: frozenset[int]

    @classmethod
    def of_this_machine(cls) -> Cores:
        """One core for the server, all others for the rest; nothing is pinned where there is only one."""
        cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
        if len(cores) < 2:
            return cls(frozenset(), frozenset())
        return cls(frozenset(cores[:1]), frozenset(cores[1:]))


@contextmanager
def pinned(cores: frozenset[int]) -> Iterator[None]:
    """Runs what is inside, and the processes that it starts, on these cores only."""
    if not cores:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@dataclass(frozen=True, slots=True)
class Running:
    """A server that answers. `start` is the time from the process to the first healthy answer, in seconds."""

    pid: int
    start: float

    def memory(self) -> float:
        """Resident memory of the process and its children, in MB."""
        return sum(_resident(pid) for pid in _family(self.pid)) / 1024

    def cpu(self) -> float:
        """CPU time that the process and its children took so far, in seconds; 0 where the system does not tell."""
        return sum(self.cpu_by_process().values())

    def cpu_by_process(self) -> dict[int, float]:
        """The same for each of them, by its id."""
        return {pid: cpu_time(pid) for pid in _family(self.pid)}


@asynccontextmanager
async def running(
    command: Sequence[str], *, env: Mapping[str, str], cwd: Path, cores: frozenset[int], port: int, health: str
) -> AsyncIterator[Running]:
    """Start a server and wait for 200 at `health`; stopped at the end of the block, whatever happens in it.

    Raises BenchFailed with the end of its log when it does not come up.
    """
    log_file = cwd / f"{Path(command[0]).name}-{port}.log"
    begun = perf_counter()
    with log_file.open("wb") as log, pinned(cores):
        process = await asyncio.create_subprocess_exec(
            *command,
            env=dict(env),
            cwd=cwd,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        while not await _healthy(port, health):
            if process.returncode is not None or perf_counter() - begun > START_LIMIT:
                end = log_file.read_text(errors="replace")[-2000:]
                raise BenchFailed(f"{' '.join(command[:3])} ... did not start:\n{end}")
            await asyncio.sleep(0.02)
        yield Running(process.pid, perf_counter() - begun)
    finally:
        await _stop(process)


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


async def _healthy(port: int, path: str) -> bool:
    try:
        async with asyncio.timeout(2):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n".encode())
            status = await reader.readline()
            writer.close()
    except (OSError, TimeoutError):
        return False
    return b" 200 " in status


async def _stop(process: asyncio.subprocess.Process) -> None:
    """Ends the process with all its children: it leads a session of its own."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, sign)
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), 10)


def cpu_time(pid: int) -> float:
    """CPU time of a process and all its threads, in seconds to the nanosecond; 0 where the system does not tell."""
    if sys.platform != "linux":
        return 0.0
    try:
        return time.clock_gettime((~pid << 3) | 2)  # as clock_getcpuclockid(3) makes it
    except OSError:
        return 0.0


def _family(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        children = []
    return [pid, *(each for child in children for each in _family(int(child)))]


def _resident(pid: int) -> int:
    """In kB; 0 where the system does not tell."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmRSS:")), 0)
