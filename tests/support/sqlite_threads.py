"""aiosqlite runs each connection in a thread, and does not wait for its end when a connection could not be made."""

from __future__ import annotations

import asyncio
import threading

PATIENCE = 10.0
"""Seconds after which a connection counts as left open."""


async def all_are_closed() -> None:
    """Returns when no connection's thread runs any more; one that ended after its event loop would fail another test.

    Raises TimeoutError when a connection was left open.
    """
    async with asyncio.timeout(PATIENCE):
        while any("_connection_worker_thread" in each.name for each in threading.enumerate()):
            await asyncio.sleep(0.001)
