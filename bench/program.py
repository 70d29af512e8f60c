"""A measurement as a program: it ends with a status, and never leaves a server behind."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Coroutine

import uvloop

from bench.processes import BenchFailed

LIMIT = 3600.0
"""Seconds that a whole run may take."""


def run(measuring: Coroutine[None, None, int]) -> int:
    """The exit status that it returns; 2 when it could not run, 130 when somebody stopped it."""
    try:
        status: int = uvloop.run(_run(measuring))
        return status
    except BenchFailed as exc:
        print(exc, file=sys.stderr)
        return 2
    except TimeoutError:
        print(f"it took longer than {LIMIT:g} s", file=sys.stderr)
        return 2
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("stopped", file=sys.stderr)
        return 130


async def _run(measuring: Coroutine[None, None, int]) -> int:
    task = asyncio.current_task()
    assert task is not None
    # Unhandled, it would end this process and leave the servers.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    async with asyncio.timeout(LIMIT):
        return await measuring
