"""A real `switchboard serve` as a process of its own: it can be killed, and started again on the same data and port."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from asyncio.subprocess import DEVNULL, STDOUT, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.support.serving import TOKEN, fake
from tests.support.session_client import SessionClient

START = 60.0
"""Seconds that a server may take to start, on a busy machine."""

LEASE = 2.0
"""Seconds after which a killed server's turns count as dead."""

COMMAND = (str(Path(sys.executable).with_name("switchboard")), "serve")


@dataclass
class ServerProcess:
    """`folder` holds its files, `settings` its SWITCHBOARD_ variables; a child that it starts dies with it."""

    folder: Path
    port: int
    settings: Mapping[str, str]
    process: Process | None = field(default=None, init=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        """All that it said, in all its lives."""
        return self._log_file.read_text()

    async def start(self) -> None:
        """Returns as soon as it answers and has its MCP servers' tools. It may have begun already."""
        if self.process is None:
            await self.begin()
        async with asyncio.timeout(START), httpx.AsyncClient(base_url=self.url, timeout=5) as http:
            while not await self._is_healthy(http):
                assert self.process is not None and self.process.returncode is None, self.log[-3000:]
                await asyncio.sleep(0.02)

    async def begin(self) -> None:
        """Start it, whatever becomes of it."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        variables = {f"SWITCHBOARD_{name.upper()}": value for name, value in self.settings.items()}
        with self._log_file.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *COMMAND,
                env={**kept, **variables, "SWITCHBOARD_API_TOKENS": TOKEN, "SWITCHBOARD_PORT": str(self.port)},
                cwd=self.folder,
                stdin=DEVNULL,
                stdout=log,
                stderr=STDOUT,
                start_new_session=True,
            )

    async def kill(self) -> None:
        """As a crash or the kernel does. Does nothing to one that does not run."""
        await self._end(signal.SIGKILL)

    async def stop(self) -> None:
        """As an operator does."""
        await self._end(signal.SIGTERM)

    async def ended(self) -> int:
        """Its exit code, when it has ended by itself."""
        assert self.process is not None
        async with asyncio.timeout(START):
            return await self.process.wait()

    async def _end(self, sign: signal.Signals) -> None:
        if self.process is not None:
            with suppress(ProcessLookupError):  # it may have ended by itself
                os.killpg(self.process.pid, sign)
            await self.ended()
            self.process = None

    async def _is_healthy(self, http: httpx.AsyncClient) -> bool:
        try:
            health = (await http.get("/health")).json()
        except httpx.TransportError:
            return False
        return all(each["state"] == "connected" for each in health["mcp_servers"].values())

    @property
    def _log_file(self) -> Path:
        return self.folder / f"server-{self.port}.log"


def server_in(
    folder: Path, *models: Mapping[str, Any], agent: Mapping[str, Any] | None = None, **settings: Any
) -> ServerProcess:
    """A server that is not started yet: on `models` (entries of model_list) and `agent` (agent.yaml)."""
    folder.mkdir(exist_ok=True)
    (folder / "models.yaml").write_text(yaml.safe_dump({"model_list": list(models) or [fake()]}))
    (folder / "agent.yaml").write_text(yaml.safe_dump({"system_prompt": "Be kind.", **(agent or {})}))
    given = {"agent_file": folder / "agent.yaml", "session_lease": LEASE, "data_dir": folder / "data", **settings}
    return ServerProcess(folder, _free_port(), {name: str(value) for name, value in given.items()})


@asynccontextmanager
async def running(*servers: ServerProcess) -> AsyncIterator[None]:
    """All of them at once; whatever is left of them at the end is killed."""
    async with AsyncExitStack() as ending:
        for server in servers:
            ending.push_async_callback(server.kill)
        await asyncio.gather(*(server.start() for server in servers))
        yield


@asynccontextmanager
async def client_of_process(server: ServerProcess, user_id: str = "ann") -> AsyncIterator[SessionClient]:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(base_url=server.url, headers=headers, timeout=60) as http:
        yield SessionClient(http, user_id)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])
