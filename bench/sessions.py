"""Measure the cost of sessions: `python -m bench.sessions [--peers] [postgresql://... [redis://...]]`.

Prints the time to first token of `/agent/invoke/stream` and of `/v1/chat/completions` on the same server, the disk
space of 50 turns (SQLite only), and the rate of session operations with 100,000 sessions stored.

With `--peers` it compares turns instead: stateless, on sessions in SQLite and in PostgreSQL, and those of aegra and
LangGraph's development server. Without a URL it starts a PostgreSQL of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import httpx
from pydantic import SecretStr
from sqlalchemy import insert

from agent.sessions.sessions_table import sessions
from agent.sessions.store import SessionStore
from agent.storage.database import Database, open_database
from api.log import configure_logging
from bench.loads import UNPACED
from bench.processes import Cores
from bench.program import run_program
from bench.servers import SWITCHBOARD, Server, run_provider
from bench.session_peers import AEGRA, LANGGRAPH_DEV, aegra, install, langgraph_dev, write_agent
from bench.session_turns import SessionFigures, langgraph_threads, measure_turns, stateless, switchboard_sessions
from tests.support.postgres_server import postgres_server
from tests.support.serving import fake, serving

SESSIONS, USERS = 100_000, 1_000
CALLS = 300
WARM_UP_CALLS = 20


async def measure_sessions(database_url: str | None, redis_url: str | None) -> int:
    """Run all measurements; return the exit status."""
    with tempfile.TemporaryDirectory(prefix="switchboard-bench-") as name:
        folder = Path(name)
        await measure_first_tokens(folder, database_url, redis_url)
        if database_url is None:
            await measure_disk_space(folder / "disk")
        await measure_store(folder / "store", database_url)
    return 0


async def measure_first_tokens(folder: Path, database_url: str | None, redis_url: str | None) -> None:
    """Print the median time to first token with and without a session."""
    settings: dict[str, Any] = {}
    if database_url:
        settings["database_url"] = SecretStr(database_url)
    if redis_url:
        settings["redis_url"] = SecretStr(redis_url)
    async with (
        serving(folder, fake(), log_level="WARNING", **settings) as served,
        httpx.AsyncClient(base_url=served.url, headers=served.headers, timeout=30) as http,
    ):
        stateless: dict[str, Any] = {"stream": True, "messages": [{"role": "user", "content": "Hello there."}]}
        times: dict[str, list[float]] = {"/v1/chat/completions": [], "/agent/invoke/stream": []}
        for number in range(CALLS):
            body = {"user_id": "ada", "session_id": f"s{number // 10}", "query": "Hello there."}
            times["/v1/chat/completions"].append(await first_token(http, "/v1/chat/completions", stateless))
            times["/agent/invoke/stream"].append(await first_token(http, "/agent/invoke/stream", body))
        for path, seconds in times.items():
            print(f"{path}: first token p50 {1000 * statistics.median(seconds[WARM_UP_CALLS:]):.1f} ms")


async def first_token(http: httpx.AsyncClient, path: str, body: dict[str, Any]) -> float:
    """Read a streamed answer to its end; return the time to first token in seconds."""
    start = time.perf_counter()
    first = 0.0
    async with http.stream("POST", path, json=body) as response:
        assert response.status_code == 200, response.status_code
        async for line in response.aiter_lines():
            if not first and line.startswith("data:") and '"content"' in line:
                first = time.perf_counter() - start
    return first


async def measure_disk_space(folder: Path) -> None:
    """Print the disk space that 50 turns of one session take."""
    folder.mkdir()
    async with (
        serving(folder, fake(), log_level="WARNING") as served,
        httpx.AsyncClient(base_url=served.url, headers=served.headers, timeout=30) as http,
    ):
        before = disk_usage(folder)
        for number in range(50):
            answer = await http.post("/agent/invoke", json={"user_id": "ada", "query": f"/tokens 60\n/say {number}"})
            assert answer.json()["status"] == "completed", answer.text
        await asyncio.sleep(1)  # older checkpoints are deleted after the turn
    print(f"50 turns of 60 words: {(disk_usage(folder) - before) / 1024:.0f} KiB on disk")


def disk_usage(folder: Path) -> int:
    """Return the size of all files in bytes."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


async def measure_store(folder: Path, database_url: str | None) -> None:
    """Print the rates of the store's operations on a full table."""
    async with open_database(database_url, folder, 10, 30.0) as database:
        store = SessionStore(database)
        await fill(database, store)
        random = Random(1)
        new = iter(range(10**9))

        def random_user() -> str:
            return f"user{random.randrange(USERS)}"

        await measure_rate("sessions created", lambda: store.create(random_user(), f"new{time.time_ns()}{next(new)}"))
        await measure_rate("lists of a user's sessions", lambda: store.ids(random_user(), 100))
        await measure_rate("status of a session", lambda: store.find(random_user(), "s7"))


async def fill(database: Database, store: SessionStore) -> None:
    """Insert `SESSIONS` rows in bulk."""
    template = await store.create("template", f"s{time.time_ns()}")
    for start in range(0, SESSIONS, 5_000):
        rows = [
            {
                "thread_id": f"{time.time_ns():x}{number}"[-32:],
                "user_id": f"user{number % USERS}",
                "session_id": f"s{number // USERS}",
                "gone": False,
                "status": "completed",
                "message": "",
                "interrupts": (),
                "created": template.created,
                "updated": template.updated,
                "stop_asked": False,
            }
            for number in range(start, start + 5_000)
        ]
        async with database.begin() as connection:
            await connection.execute(insert(sessions), rows)


async def measure_rate(
    title: str, operation: Callable[[], Awaitable[object]], seconds: float = 3.0, concurrency: int = 8
) -> None:
    """Print how often per second `operation` completes."""
    completed = 0
    end = time.perf_counter() + seconds

    async def repeat() -> None:
        nonlocal completed
        while time.perf_counter() < end:
            await operation()
            completed += 1

    await asyncio.gather(*(repeat() for _ in range(concurrency)))
    print(f"{title}: {completed / seconds:.0f}/s with {SESSIONS} stored, {concurrency} at once")


async def compare_turns(database_url: str | None, seconds: float) -> int:
    """Print the cost of turns on each server, one after the other; return the exit status."""
    cores = Cores.of_this_machine()
    with ExitStack() as closing:
        folder = Path(closing.enter_context(tempfile.TemporaryDirectory(prefix="switchboard-bench-")))
        if database_url is None:
            database_url = closing.enter_context(postgres_server()).new_database()
        async with run_provider(folder, cores, [UNPACED]) as provider:
            base_url = f"http://127.0.0.1:{provider.target.port}/v1"
            write_agent(folder, base_url, UNPACED)
            results = [
                await measure_switchboard(folder, cores, None, seconds),
                await measure_switchboard(folder, cores, database_url, seconds),
                await measure_peer(folder, cores, "aegra", AEGRA, aegra(database_url), seconds),
                await measure_peer(folder, cores, "langgraph-dev", LANGGRAPH_DEV, langgraph_dev(), seconds),
            ]
    return 1 if any(each.broken for figures in results for each in figures) else 0


async def measure_switchboard(
    folder: Path, cores: Cores, database_url: str | None, seconds: float
) -> list[SessionFigures]:
    """Measure turns with and without a session."""
    name, environment = "SQLite", SWITCHBOARD.environment
    if database_url is not None:
        name, environment = "PostgreSQL", (*environment, ("SWITCHBOARD_DATABASE_URL", database_url))
    async with replace(SWITCHBOARD, environment=environment).run(folder, cores.server, {UNPACED: "bench-0"}) as server:
        stateless_turns = await measure_turns("switchboard, stateless", server, stateless(server), seconds)
        print(stateless_turns)
        figures = await measure_turns(f"switchboard, {name}", server, switchboard_sessions(server), seconds)
        print(figures, f"({figures.cpu / stateless_turns.cpu:.1f} x the CPU of a stateless turn)")
    return [stateless_turns, figures]


async def measure_peer(
    folder: Path, cores: Cores, name: str, packages: tuple[str, ...], peer: Server, seconds: float
) -> list[SessionFigures]:
    """Measure turns of a peer, or print why it cannot be had."""
    if problem := await install(name, packages):
        print(f"{name} cannot be installed here: {problem}")
        return []
    async with peer.run(folder, cores.server, {}) as server, server.client() as http:
        figures = await measure_turns(name, server, langgraph_threads(server, http), seconds)
        print(figures)
    return [figures]


def main() -> int:
    """Return the exit status: 0, or 2 if the measurement failed."""
    parser = argparse.ArgumentParser(prog="python -m bench.sessions", description=__doc__)
    parser.add_argument("database_url", nargs="?", help="default: an SQLite file in a temporary folder")
    parser.add_argument("redis_url", nargs="?", help="default: no Redis")
    parser.add_argument("--peers", action="store_true", help="compare turns with aegra and langgraph dev")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each load of --peers; default: %(default)g")
    options = parser.parse_args()
    configure_logging("WARNING", as_json=False)
    if options.peers:
        return run_program(compare_turns(options.database_url, options.seconds))
    return run_program(measure_sessions(options.database_url, options.redis_url))


if __name__ == "__main__":
    sys.exit(main())
