"""Runs `switchboard serve` as a process that tests can kill and restart on the same data and port."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, STDOUT, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import httpx
import yaml

from tests.support.forked_process import ForkedProcess, fork_server
from tests.support.free_port import free_port
from tests.support.log_watch import WATCH
from tests.support.serving import TOKEN, fake
from tests.support.session_client import SessionClient

STARTUP_TIMEOUT = 60.0
"""Seconds, on a busy machine."""

LEASE = 2.0
"""Seconds after which the turns of a killed server count as abandoned."""

ROOT = Path(__file__).parents[2]
SWITCHBOARD = (str(Path(sys.executable).with_name("switchboard")),)


@dataclass
class ServerProcess:
    """`folder` has the server's files, `settings` its SWITCHBOARD_ variables. Child processes end with the server."""

    folder: Path
    port: int
    settings: Mapping[str, str]
    process: Process | ForkedProcess | None = field(default=None, init=False)
    program: ClassVar[tuple[str, ...]] = SWITCHBOARD
    command: ClassVar[str] = "serve"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        """The log since the first start."""
        return self._log_file.read_text()

    async def start(self) -> None:
        """Return once the server is healthy and its MCP servers are connected. `begin` may have been called before."""
        if self.process is None:
            await self.begin()
        async with asyncio.timeout(STARTUP_TIMEOUT), httpx.AsyncClient(base_url=self.url, timeout=5) as http:
            while not await self._is_healthy(http):
                assert self.process is not None and self.process.returncode is None, self.log[-3000:]
                await asyncio.sleep(0.02)

    async def begin(self) -> None:
        """Start the process without waiting for the server."""
        inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        variables = {f"SWITCHBOARD_{name.upper()}": value for name, value in self.settings.items()}
        environment = {
            **inherited,
            **variables,
            "SWITCHBOARD_API_TOKENS": TOKEN,
            "SWITCHBOARD_PORT": str(self.port),
            "PYTHONPATH": str(ROOT),
        }
        self._log_file.touch()
        WATCH.follow(self._log_file)
        if self.program == SWITCHBOARD:
            start = partial(fork_server().start, [self.command], environment, self.folder, log=str(self._log_file))
            self.process = await asyncio.to_thread(start)
            return
        with self._log_file.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *self.program,
                self.command,
                env=environment,
                cwd=self.folder,
                stdin=DEVNULL,
                stdout=log,
                stderr=STDOUT,
                start_new_session=True,
            )

    async def kill(self) -> None:
        """Send SIGKILL, if the server runs."""
        await self._end(signal.SIGKILL)

    async def stop(self) -> None:
        """Send SIGTERM, if the server runs."""
        await self._end(signal.SIGTERM)

    async def ended(self) -> int:
        """Wait for the process to exit; return its exit code."""
        assert self.process is not None
        async with asyncio.timeout(STARTUP_TIMEOUT):
            return await self.process.wait()

    async def _end(self, signum: signal.Signals) -> None:
        if self.process is not None:
            with suppress(ProcessLookupError):  # the process may have exited
                os.killpg(self.process.pid, signum)
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
        return self.folder / f"{self.command}-{self.port}.log"


class WorkerProcess(ServerProcess):
    """Runs `switchboard worker`. Its port only gives its log a name."""

    command: ClassVar[str] = "worker"

    async def start(self) -> None:
        """Return once the worker takes tasks and its MCP servers are connected."""
        agent = yaml.safe_load(Path(self.settings["agent_file"]).read_text())
        awaited = {"worker_ready": 1, "mcp_server_connected": len(agent.get("mcp_servers", ()))}
        before = self.log if self._log_file.exists() else ""
        awaited = {line: count + before.count(line) for line, count in awaited.items()}
        await self.begin()
        async with asyncio.timeout(STARTUP_TIMEOUT):
            while any(self.log.count(line) < count for line, count in awaited.items()):
                assert self.process is not None and self.process.returncode is None, self.log[-3000:]
                await asyncio.sleep(0.02)


def server_in(
    folder: Path,
    *models: Mapping[str, Any],
    router: Mapping[str, Any] | None = None,
    agent: Mapping[str, Any] | None = None,
    **settings: Any,
) -> ServerProcess:
    """Return a server, not yet started, with `models` (entries of model_list) and `agent` (agent.yaml)."""
    folder.mkdir(exist_ok=True)
    models_file = {"model_list": list(models) or [fake()], "router_settings": dict(router or {})}
    (folder / "models.yaml").write_text(yaml.safe_dump(models_file))
    (folder / "agent.yaml").write_text(yaml.safe_dump({"system_prompt": "Be kind.", **(agent or {})}))
    given = {"agent_file": folder / "agent.yaml", "session_lease": LEASE, "data_dir": folder / "data", **settings}
    return ServerProcess(folder, free_port(), {name: str(value) for name, value in given.items()})


def worker_of(server: ServerProcess) -> WorkerProcess:
    """Return a worker, not yet started, with the settings and files of the server."""
    return WorkerProcess(server.folder, free_port(), server.settings)


@asynccontextmanager
async def running(*servers: ServerProcess) -> AsyncIterator[None]:
    """Start all servers, and kill them at the end of the block."""
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
