"""What sessions cost: `python -m bench.sessions [postgresql://... [redis://...]]` (`make bench-sessions`).

Prints the first-token time of `/agent/invoke/stream` against that of `/v1/chat/completions` on the same server, how
many sessions are made and listed in a second with 100,000 of 1,000 users stored, and what 50 turns take on disk.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
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
from tests.support.serving import Served, fake, serving

SESSIONS, USERS = 100_000, 1_000
CALLS = 300


async def main(database_url: str | None, redis_url: str | None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        await first_tokens(Path(folder), database_url, redis_url)
        if database_url is None:
            await fifty_turns(Path(folder) / "fifty")
        await many_sessions(Path(folder) / "many", database_url)


async def first_tokens(folder: Path, database_url: str | None, redis_url: str | None) -> None:
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
        took: dict[str, list[float]] = {"/v1/chat/completions": [], "/agent/invoke/stream": []}
        for number in range(CALLS):
            body = {"user_id": "ada", "session_id": f"s{number // 10}", "query": "Hello there."}
            took["/v1/chat/completions"].append(await first_token(http, "/v1/chat/completions", stateless))
            took["/agent/invoke/stream"].append(await first_token(http, "/agent/invoke/stream", body))
        for path, seconds in took.items():
            print(f"{path}: first token p50 {1000 * statistics.median(seconds[20:]):.1f} ms")


async def first_token(http: httpx.AsyncClient, path: str, body: dict[str, Any]) -> float:
    began = time.perf_counter()
    first = 0.0
    async with http.stream("POST", path, json=body) as response:
        assert response.status_code == 200, response.status_code
        async for line in response.aiter_lines():
            if not first and line.startswith("data:") and '"content"' in line:
                first = time.perf_counter() - began
    return first


async def fifty_turns(folder: Path) -> None:
    folder.mkdir()
    async with (
        serving(folder, fake(), log_level="WARNING") as served,
        httpx.AsyncClient(base_url=served.url, headers=served.headers, timeout=30) as http,
    ):
        before = on_disk(folder)
        for number in range(50):
            answer = await http.post("/agent/invoke", json={"user_id": "ada", "query": f"/tokens 60\n/say {number}"})
            assert answer.json()["status"] == "completed", answer.text
        await _settle(served)
    print(f"50 turns of 60 words: {(on_disk(folder) - before) / 1024:.0f} KiB on disk")


async def _settle(served: Served) -> None:
    await asyncio.sleep(1)  # older checkpoints are forgotten after the turn


def on_disk(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


async def many_sessions(folder: Path, database_url: str | None) -> None:
    async with open_database(database_url, folder, 10, 30.0) as database:
        store = SessionStore(database)
        await fill(database, store)
        random = Random(1)
        new = iter(range(10**9))

        def someone() -> str:
            return f"user{random.randrange(USERS)}"

        await rate("sessions made", lambda: store.create(someone(), f"new{time.time_ns()}{next(new)}"))
        await rate("lists of a user's sessions", lambda: store.ids(someone(), 100))
        await rate("status of a session", lambda: store.find(someone(), "s7"))


async def fill(database: Database, store: SessionStore) -> None:
    """Rows like one that the store made itself, in bulk."""
    made = await store.create("model of all others", f"s{time.time_ns()}")
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
                "created": made.created,
                "updated": made.updated,
                "stop_asked": False,
            }
            for number in range(start, start + 5_000)
        ]
        async with database.begin() as connection:
            await connection.execute(insert(sessions), rows)


async def rate(title: str, work: Callable[[], Awaitable[object]], seconds: float = 3.0, at_once: int = 8) -> None:
    done = 0
    end = time.perf_counter() + seconds

    async def worker() -> None:
        nonlocal done
        while time.perf_counter() < end:
            await work()
            done += 1

    await asyncio.gather(*(worker() for _ in range(at_once)))
    print(f"{title}: {done / seconds:.0f}/s with {SESSIONS} stored, {at_once} at once")


if __name__ == "__main__":
    configure_logging("WARNING", as_json=False)
    given = [*sys.argv[1:], None, None]
    asyncio.run(main(given[0], given[1]))
