"""Starts server processes on their own CPU cores, measures their CPU time and memory, and stops them."""

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

STARTUP_TIMEOUT = 180.0
"""Seconds until the first successful health check."""


class BenchError(Exception):
    """The measurement cannot continue; the message says why."""


@dataclass(frozen=True, slots=True)
class Cores:
    """CPU cores of the server, and those that the provider and the load generator share. Empty means any core."""

    server: frozenset[int]
    load: frozenset[int]

    @classmethod
    def of_this_machine(cls) -> Cores:
        """One core for the server, the others for provider and load; no pinning on a single core."""
        cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
        if len(cores) < 2:
            return cls(frozenset(), frozenset())
        return cls(frozenset(cores[:1]), frozenset(cores[1:]))


@contextmanager
def pinned(cores: frozenset[int]) -> Iterator[None]:
    """Pin this process, and the processes that the block starts, to these cores."""
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
class RunningProcess:
    """A healthy server process. `startup` is the time to the first successful health check, in seconds."""

    pid: int
    startup: float
    log_file: Path

    def memory(self) -> float:
        """Resident memory of the process and its descendants, in MB."""
        return sum(_resident(pid) for pid in _process_tree(self.pid)) / 1024

    def cpu(self) -> float:
        """CPU time of the process and its descendants, in seconds; 0 where the system does not report it."""
        return sum(self.cpu_by_process().values())

    def cpu_by_process(self) -> dict[int, float]:
        """CPU time of each of these processes by pid, in seconds."""
        return {pid: cpu_time(pid) for pid in _process_tree(self.pid)}


@asynccontextmanager
async def run_process(
    command: Sequence[str], *, env: Mapping[str, str], cwd: Path, cores: frozenset[int], port: int, health: str
) -> AsyncIterator[RunningProcess]:
    """Start a server, wait until GET `health` returns 200, and stop the server at the end of the block.

    Raises BenchError with the end of the log if the server does not start.
    """
    log_file = cwd / f"{Path(command[0]).name}-{port}.log"
    start = perf_counter()
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
            if process.returncode is not None or perf_counter() - start > STARTUP_TIMEOUT:
                log_end = log_file.read_text(errors="replace")[-2000:]
                raise BenchError(f"{' '.join(command[:3])} ... did not start:\n{log_end}")
            await asyncio.sleep(0.02)
        yield RunningProcess(process.pid, perf_counter() - start, log_file)
    finally:
        await _stop(process)


def free_port() -> int:
    """Return a port on which nothing listens."""
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
    """Stop the process and its descendants; they share a process group."""
    for signum in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signum)
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), 10)


def cpu_time(pid: int) -> float:
    """CPU time of a process, in seconds with nanosecond resolution; 0 where the system does not report it."""
    if sys.platform != "linux":
        return 0.0
    try:
        return time.clock_gettime((~pid << 3) | 2)  # the clock id of clock_getcpuclockid(3)
    except OSError:
        return 0.0


def _process_tree(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        children = []
    return [pid, *(each for child in children for each in _process_tree(int(child)))]


def _resident(pid: int) -> int:
    """Resident memory in kB; 0 where the system does not report it."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmRSS:")), 0)
