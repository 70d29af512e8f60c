"""Waits for the threads of aiosqlite, which outlive connections that failed to open."""

from __future__ import annotations

import asyncio
import threading

CLOSE_TIMEOUT = 10.0
"""Seconds after which a connection counts as leaked."""


def sqlite_connections() -> int:
    """How many connections to SQLite this process has."""
    return sum("_connection_worker_thread" in each.name for each in threading.enumerate())


async def sqlite_connections_closed() -> None:
    """Wait until no connection's thread runs: one that outlives its event loop makes another test fail.

    Raises TimeoutError if a connection is still open.
    """
    async with asyncio.timeout(CLOSE_TIMEOUT):
        while sqlite_connections():
            await asyncio.sleep(0.001)
