"""Command-line entry point of the measurements: exit status, time limit, signals, progress messages."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable, Coroutine

import uvloop
from rich.console import Console

from bench.processes import BenchError

Progress = Callable[[str], None]
"""Reports the current step to the user."""
TIME_LIMIT = 3600.0
"""Seconds."""


def print_progress(text: str) -> None:
    """Print a progress message to standard error."""
    Console(stderr=True).print(text, style="dim")


def run_program(measurement: Coroutine[None, None, int], time_limit: float = TIME_LIMIT) -> int:
    """Run a measurement and return its exit status; 2 if it fails or exceeds `time_limit` seconds, 130 if interrupted.

    On SIGTERM the measurement is cancelled, so that it stops the servers it has started.
    """
    try:
        status: int = uvloop.run(_run(measurement, time_limit))
        return status
    except BenchError as exc:
        print(exc, file=sys.stderr)
        return 2
    except TimeoutError:
        print(f"the run took longer than {time_limit:g} s", file=sys.stderr)
        return 2
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("stopped", file=sys.stderr)
        return 130


async def _run(measurement: Coroutine[None, None, int], time_limit: float) -> int:
    task = asyncio.current_task()
    assert task is not None
    # Without a handler, SIGTERM would end this process and leave the servers running.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    async with asyncio.timeout(time_limit):
        return await measurement
