"""What a soak runs against: the fake provider, PostgreSQL, Redis, the servers, and a proxy in front of them."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml

from bench.processes import BenchError
from bench.soak import marking_tools
from bench.soak.proxy import has_nginx, nginx
from bench.soak.traffic import Pace, models_file
from router.fake.server.fake_provider import FakeProvider
from tests.support.postgres_server import PostgresServer, postgres_server
from tests.support.redis_server import RedisServer, redis_server
from tests.support.server_process import STARTUP_TIMEOUT, SWITCHBOARD, ServerProcess, server_in

AGENT: dict[str, Any] = {
    "tools": ["marking_tools:mark", "marking_tools:mark_if_allowed"],
    "review": ["mark_if_allowed"],
}


@dataclass(frozen=True, slots=True)
class Layout:
    """How much of it there is. `one_server()` is the smallest."""

    servers: int = 2
    workers: int = 2
    postgres: bool = True
    redis: bool = True
    nginx: bool = True

    @classmethod
    def one_server(cls) -> Layout:
        """A server of one process with SQLite."""
        return cls(1, 1, postgres=False, redis=False, nginx=False)


class _Server(ServerProcess):
    """A server whose workers are started by a Python of their own."""

    program: ClassVar[tuple[str, ...]] = (sys.executable, *SWITCHBOARD)
    starts: int = 0

    async def start(self) -> None:
        """Return once all workers answer. Raises TimeoutError."""
        self.starts += 1
        await super().start()
        async with asyncio.timeout(STARTUP_TIMEOUT):
            while self.log.count("is ready") < self.starts:
                await asyncio.sleep(0.1)


@dataclass(frozen=True, slots=True)
class Stack:
    """`folder` has models.yaml and agent.yaml, which all servers share. `urls` are for the callers."""

    folder: Path
    layout: Layout
    provider: FakeProvider
    servers: Sequence[ServerProcess]
    urls: Sequence[str]
    postgres: PostgresServer | None
    redis: RedisServer | None

    @property
    def models_file(self) -> Path:
        return self.folder / "models.yaml"

    @property
    def marks(self) -> Path:
        """The file in which the tools leave their marks."""
        return self.folder / "marks.log"

    @property
    def logs(self) -> str:
        """The logs of all servers."""
        return "".join(each.log for each in self.servers)


@asynccontextmanager
async def running_stack(folder: Path, layout: Layout, pace: Pace, *, log_level: str) -> AsyncIterator[Stack]:
    """Start everything, and stop it at the end of the block. Raises BenchError if a part is not installed."""
    async with AsyncExitStack() as closing:
        provider = await closing.enter_async_context(FakeProvider())
        try:
            postgres = closing.enter_context(postgres_server()) if layout.postgres else None
            redis = await closing.enter_async_context(redis_server()) if layout.redis else None
        except pytest.skip.Exception as exc:
            raise BenchError(str(exc)) from exc
        settings: dict[str, Any] = {"database_url": f"sqlite:///{folder}/switchboard.db", "log_level": log_level}
        if postgres is not None:
            settings["database_url"] = postgres.new_database()
        if redis is not None:
            settings["redis_url"] = redis.url
        shared = {"models_file": folder / "models.yaml", "agent_file": folder / "agent.yaml"}
        shutil.copy(str(marking_tools.__file__), folder / "marking_tools.py")
        (folder / "agent.yaml").write_text(yaml.safe_dump({"system_prompt": "You answer the phone.", **AGENT}))
        (folder / "models.yaml").write_text(yaml.safe_dump(models_file(provider.base_url, pace)))
        settings |= {**shared, "workers": layout.workers, "session_lease": 10}
        servers = [_server(folder / f"server-{number + 1}", layout, settings) for number in range(layout.servers)]
        for server in servers:
            closing.push_async_callback(server.kill)
            await server.start()
        urls = [server.url for server in servers]
        if layout.nginx and has_nginx():
            urls = [await closing.enter_async_context(nginx(folder / "nginx", [server.port for server in servers]))]
        yield Stack(folder, layout, provider, servers, urls, postgres, redis)


def _server(folder: Path, layout: Layout, settings: dict[str, Any]) -> ServerProcess:
    server = server_in(folder, **settings)
    # A single process can be forked from one that has imported everything, which is cheaper.
    kind = _Server if layout.workers > 1 else ServerProcess
    return kind(server.folder, server.port, server.settings)
