"""The thread in which a process uses SQLite.

SQLite blocks while it works, so it needs a thread beside the event loop. aiosqlite takes a trip to its thread for each
call of the driver, about twenty for one transaction. Here a whole transaction is one trip.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sqlalchemy import Connection, Engine

from agent.storage.sqlite import READ_ONLY

T = TypeVar("T")


class SqliteThread:
    """Runs transactions one after the other on one connection of `engine`, which it opens on first use."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._connection: Connection | None = None
        self._thread = ThreadPoolExecutor(1, "sqlite")

    async def run(self, work: Callable[[Connection], T], *, read_only: bool = False) -> T:
        """Commit what `work` did when it returns, roll it back when it raises. A cancelled caller does not end it.

        A transaction that is `read_only` does not wait for the writers of other processes.
        """
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._transaction, work, read_only)

    async def aclose(self) -> None:
        """Wait for the transaction that runs, and close the connection."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown(wait=False)

    def _transaction(self, work: Callable[[Connection], T], read_only: bool) -> T:
        if self._connection is None:
            self._connection = self.engine.connect()
        connection = self._connection.execution_options(**{READ_ONLY: read_only})
        with connection.begin():
            return work(connection)

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self.engine.dispose()
