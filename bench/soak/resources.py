"""The resources that the servers hold: memory, file descriptors, sockets, asyncio tasks, connections."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import httpx
import psycopg
from redis.asyncio import Redis
from redis.exceptions import RedisError

from bench.soak.stack import Stack
from tests.support.server_process import ServerProcess

_LISTENING = "0A"
HEALTH_REQUESTS = 12
"""Requests to /health of one server, so that each of its workers answers one."""


@dataclass(frozen=True, slots=True)
class ProcessResources:
    """`files` are the descriptors that are neither connections nor databases; `memory` is resident memory in MB.

    tcp: connections with callers and providers.
    unix: unix sockets. The connections of the pools to PostgreSQL and Redis are among them, and may stay open.
    """

    threads: int
    descriptors: int
    files: int
    tcp: int
    unix: int
    memory: float

    @classmethod
    def of(cls, pid: int) -> ProcessResources:
        """Read them from /proc. Raises OSError if there is no /proc or no such process."""
        lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        if "VmRSS" not in lines:
            raise ProcessLookupError(f"process {pid} has ended")
        targets = [_link_target(each) for each in Path(f"/proc/{pid}/fd").iterdir()]
        sockets = {each.removeprefix("socket:[").removesuffix("]") for each in targets if each.startswith("socket:")}
        unix, tcp = sockets & _inodes("unix", 6), sockets & _inodes("tcp", 9, without=_LISTENING)
        databases = [each for each in targets if ".db" in Path(each).suffix]  # the pools of SQLite, with their logs
        return cls(
            threads=int(lines["Threads"]),
            descriptors=len(targets),
            files=len(targets) - len(unix) - len(tcp) - len(databases),
            tcp=len(tcp),
            unix=len(unix),
            memory=int(lines["VmRSS"].split()[0]) / 1024,
        )


@dataclass(frozen=True, slots=True)
class Holdings:
    """What all servers hold together at one moment.

    processes: by pid; the children of a server are its workers.
    tasks, in_flight: asyncio tasks, and attempts that /health counts, of the busiest worker; None if none answers.
    provider: open connections to the provider.
    database: connections by state, as PostgreSQL reports them; empty while it does not answer.
    redis: connections; None while it does not answer.
    """

    processes: Mapping[int, ProcessResources]
    tasks: int | None
    in_flight: int | None
    provider: int
    database: Mapping[str, int]
    redis: int | None

    def most(self, kind: Literal["threads", "files", "tcp", "unix"]) -> int:
        """The number of them in the worker that has the most."""
        return max((int(getattr(each, kind)) for each in self.processes.values()), default=0)

    def leaks_since(self, before: Holdings, pool_limit: int) -> list[str]:
        """Describe what is more than before the load, or stuck. `pool_limit` is the size of all database pools.

        Memory is not compared: its slope tells more. Nor are threads, which a pool keeps, and connections of pools.
        """
        leaks = []
        if self.most("files") > before.most("files"):
            leaks.append(f"open files of a worker: {self.most('files')}, before {before.most('files')}")
        if self.most("tcp"):
            leaks.append(f"TCP connections of a worker: {self.most('tcp')}")
        if (self.tasks or 0) > (before.tasks or 0):
            leaks.append(f"asyncio tasks: {self.tasks}, before {before.tasks}")
        if self.in_flight:
            leaks.append(f"attempts in flight: {self.in_flight}")
        if self.provider:
            leaks.append(f"connections to the provider: {self.provider}")
        if stuck := {state: number for state, number in self.database.items() if state != "idle"}:
            leaks.append(f"connections to PostgreSQL that are not idle: {stuck}")
        if sum(self.database.values()) > pool_limit:
            leaks.append(f"connections to PostgreSQL: {sum(self.database.values())}, the pools have {pool_limit}")
        return leaks


async def holdings(stack: Stack) -> Holdings:
    """Read everything once; what does not answer is left out."""
    pids = [pid for server in stack.servers for pid in worker_pids(server)]
    # Before the requests to /health, whose connections would count.
    processes = {pid: found for pid in pids if (found := read_process(pid)) is not None}
    healths = [health for server in stack.servers for health in await _healths(server)]
    return Holdings(
        processes=processes,
        tasks=max((int(health["tasks"]) for health in healths), default=None),
        in_flight=max(map(_in_flight, healths), default=None),
        provider=stack.provider.open_connections,
        database=database_connections(stack),
        redis=await redis_connections(stack),
    )


def worker_pids(server: ServerProcess) -> list[int]:
    """The processes that answer requests: the workers, or the server itself if it has none."""
    if server.process is None:
        return []
    pid = server.process.pid
    try:
        children = [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
    workers = [each for each in children if b"resource_tracker" not in _command_line(each)]  # multiprocessing's own
    return workers if int(server.settings["workers"]) > 1 else [pid]


def read_process(pid: int) -> ProcessResources | None:
    """None if the process has ended."""
    try:
        return ProcessResources.of(pid)
    except OSError:
        return None


def database_connections(stack: Stack) -> dict[str, int]:
    """The connections of the servers by state; empty while PostgreSQL does not answer."""
    if stack.postgres is None or not stack.postgres.running:
        return {}
    query = (
        "SELECT coalesce(state, 'none') FROM pg_stat_activity"
        " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
    )
    try:
        with psycopg.connect(stack.postgres.url(), connect_timeout=2) as connection:
            return dict(Counter(str(state) for (state,) in connection.execute(query)))
    except psycopg.Error:
        return {}


async def redis_connections(stack: Stack) -> int | None:
    """The connections of the servers; None while Redis does not answer."""
    if stack.redis is None:
        return None
    try:
        async with Redis.from_url(stack.redis.url, socket_timeout=2, socket_connect_timeout=2) as redis:
            return len(await redis.client_list()) - 1
    except (RedisError, OSError):
        return None


async def _healths(server: ServerProcess) -> list[dict[str, Any]]:
    found = []
    async with httpx.AsyncClient(headers={"connection": "close"}, timeout=5) as http:
        for _ in range(HEALTH_REQUESTS):
            try:
                found.append((await http.get(f"{server.url}/health")).json())
            except httpx.TransportError:
                break
    return found


def _in_flight(health: Mapping[str, Any]) -> int:
    return sum(each["in_flight"] for each in health["deployments"])


def _command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _inodes(protocol: str, column: int, *, without: str = "") -> set[str]:
    """The inodes of all sockets of a protocol but those in the state `without`."""
    rows = (line.split() for line in Path(f"/proc/net/{protocol}").read_text().splitlines()[1:])
    return {row[column] for row in rows if row[3] != without}


def _link_target(descriptor: Path) -> str:
    try:
        return os.readlink(descriptor)
    except OSError:  # closed since the listing
        return ""
