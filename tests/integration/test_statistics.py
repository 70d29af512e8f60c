"""`/stats`, `/reset-stats` and `/metrics` of real servers after turns of every kind."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr

from api.http.auth import TokenVerifier
from bench.soak.resources import worker_pids
from router.fake.server.fake_provider import FakeProvider
from tests.support.server_process import SWITCHBOARD, running, server_in
from tests.support.serving import TOKEN, Served, direct, fake, serving

Json = dict[str, Any]

CALLER = TokenVerifier([SecretStr(TOKEN)]).verify(TOKEN)
HEADERS = {"Authorization": f"Bearer {TOKEN}"}
TOOL = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object", "properties": {}}}}


@asynccontextmanager
async def client(url: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=url, headers=HEADERS, timeout=30) as http:
        yield http


async def ask(http: httpx.AsyncClient, model: str = "fake", text: str = "Hi", **fields: Any) -> httpx.Response:
    body = {"model": model, "messages": [{"role": "user", "content": text}], **fields}
    return await http.post("/v1/chat/completions", json=body)


async def hang_up(http: httpx.AsyncClient, model: str) -> None:
    """Ask, and hang up after the first text."""
    body = {"model": model, "messages": [{"role": "user", "content": "Hi"}], "stream": True}
    async with http.stream("POST", "/v1/chat/completions", json=body) as response:
        lines = response.aiter_lines()
        async for line in lines:
            if '"content"' in line:
                break


async def stats(http: httpx.AsyncClient) -> Json:
    response = await http.get("/stats")
    assert response.status_code == 200, response.text
    return dict(response.json())


async def until(read: Callable[[], Awaitable[Json]], **expected: Any) -> Json:
    """What `read` returns, once it has the expected values."""
    async with asyncio.timeout(10):
        while True:
            found = await read()
            if expected.items() <= found.items():
                return found
            await asyncio.sleep(0.02)


async def metric(http: httpx.AsyncClient, name: str, **labels: str) -> float:
    """The sum of all samples of a metric that have `labels`."""
    response = await http.get("/metrics")
    assert response.status_code == 200, response.text
    families = text_string_to_metric_families(response.text)
    return sum(
        each.value
        for family in families
        for each in family.samples
        if each.name == f"switchboard_{name}" and labels.items() <= each.labels.items()
    )


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Served]:
    async with FakeProvider() as provider:
        url = provider.base_url

        def priced(name: str, model: str, **params: Any) -> Json:
            prices = {"input_cost_per_token": 0.001, "output_cost_per_token": 0.002}
            return {**direct(name, url, model, **params), "model_info": prices}

        models = [
            fake(),
            {**fake("free"), "model_info": {"input_cost_per_token": 0.0, "output_cost_per_token": 0.0}},
            priced("priced", "fake-ok"),
            direct("broken", url, "fake-503"),
            direct("failover", url, "fake-429", order=1),
            priced("failover", "fake-ok", order=2),
            priced("cut", "fake-cut", order=1),
            priced("cut", "fake-continue", order=2),
            direct("late", url, "fake-silent", order=1, first_token_timeout=20),
            direct("late", url, "fake-ok", order=2),
            direct("paced", url, "fake-ok?gap=50ms&tokens=600"),
        ]
        settings = {"hedge_after": 0.1, "hedge_budget": 1.0, "num_retries": 0}
        async with serving(tmp_path, *models, router=settings, agent={"tools": []}) as served:
            yield served


async def test_turns_of_every_kind(server: Served) -> None:
    async with client(server.url) as http:
        for model in ("priced", "failover", "cut", "late", "free"):
            assert (await ask(http, model)).status_code == 200
        assert (await ask(http, "broken")).status_code == 503
        assert (await ask(http, "unknown")).status_code == 404
        assert (await ask(http, "fake", "/call look_up", tools=[TOOL])).json()["choices"][0]["finish_reason"] == (
            "tool_calls"
        )
        await hang_up(http, "paced")
        invoked = await http.post("/agent/invoke", json={"user_id": "ann", "query": "Hi", "model": "fake"})
        assert invoked.json()["status"] == "completed"
        found = await until(lambda: stats(http), turns=9, running=0)
        assert await metric(http, "turns_total") == 9
        assert await metric(http, "requests_total", caller=CALLER) == 10
        assert await metric(http, "cancelled_turns_total", model="paced") == 1
        assert await metric(http, "hedges_total", model="late") == 1
        assert await metric(http, "spliced_answers_total", model="cut") == 1
        assert await metric(http, "attempts_total", **{"class": "rate_limited"}) == 1
        assert await metric(http, "breaker_state", state="closed") == 11
        assert await metric(http, "first_token_seconds_count") == 8
        assert await metric(http, "turn_seconds_count") == 9
        assert await metric(http, "cost_dollars_total") == pytest.approx(found["total_cost"])
        assert await metric(http, "tokens_total") == found["total_tokens"]

    assert found["requests"] == 10
    assert found["outcomes"] == {"all_deployments_failed": 1, "cancelled": 1, "stop": 6, "tool_calls": 1}
    assert found["failures"] == {"rate_limited": 1, "provider_overloaded": 1, "answer_cut": 1}
    assert found["attempts"] == 12
    assert (found["hedges"], found["spliced"]) == (1, 1)
    assert found["models"]["late"]["hedges"] == 1
    assert found["models"]["cut"]["spliced"] == 1
    assert found["models"]["broken"]["first_token_ms"] == {"p50": None, "p95": None, "p99": None}
    assert found["models"]["late"]["first_token_ms"]["p50"] >= 95  # with the wait for the hedge
    assert found["turn_ms"]["p99"] >= found["turn_ms"]["p95"] >= found["turn_ms"]["p50"] > 0
    caller = found["callers"][CALLER]
    assert (caller["requests"], caller["turns"], list(found["callers"])) == (10, 9, [CALLER])
    for total in ("turns", "input_tokens", "output_tokens"):
        assert sum(each[total] for each in found["models"].values()) == found[total] == caller[total]
    assert sum(each["attempts"] for each in found["deployments"].values()) == found["attempts"]
    assert sum(each["input_tokens"] for each in found["deployments"].values()) == found["input_tokens"]


async def test_a_cost_is_never_less_than_known(server: Served) -> None:
    async with client(server.url) as http:
        priced = (await ask(http, "priced")).json()["usage"]
        for model in ("free", "fake"):
            await ask(http, model)
        found = await stats(http)
    cost = priced["prompt_tokens"] * 0.001 + priced["completion_tokens"] * 0.002
    models = found["models"]
    assert models["priced"]["total_cost"] == pytest.approx(cost)
    assert (models["free"]["total_cost"], models["free"]["unpriced_turns"]) == (0, 0)
    assert (models["fake"]["total_cost"], models["fake"]["unpriced_turns"]) == (None, 1)
    assert (found["total_cost"], found["unpriced_turns"]) == (pytest.approx(cost), 1)


async def test_a_running_turn_counts_while_it_runs(server: Served) -> None:
    async with client(server.url) as http:
        body = {"model": "paced", "messages": [{"role": "user", "content": "Hi"}], "stream": True}
        async with http.stream("POST", "/v1/chat/completions", json=body):
            await until(lambda: stats(http), running=1, turns=0)
            assert await metric(http, "running_turns") == 1
        await until(lambda: stats(http), running=0, turns=1)


async def test_a_superseded_turn_has_its_own_outcome(server: Served) -> None:
    async with client(server.url) as http:
        first = asyncio.create_task(ask(http, "paced", session_id="call"))
        await until(lambda: stats(http), running=1)
        await ask(http, "fake", "Hello", session_id="call")
        await first
        found = await until(lambda: stats(http), turns=2)
    assert found["outcomes"] == {"stop": 1, "superseded": 1}


async def test_a_reset_counts_from_then_on_and_the_minutes_stay(server: Served) -> None:
    async with client(server.url) as http:
        before = await stats(http)
        assert before["reset_by"] is None
        await ask(http)
        reset = (await http.post("/reset-stats")).json()
        assert (reset["success"], reset["reset_by"]) == (True, CALLER)
        found = await stats(http)
        assert (found["turns"], found["requests"], found["callers"]) == (0, 0, {})
        assert (found["since"], found["reset_by"]) == (reset["since"], CALLER)
        assert datetime.fromisoformat(before["since"]) < datetime.fromisoformat(reset["since"]) <= datetime.now(UTC)
        await ask(http)
        assert (await stats(http))["turns"] == 1
        series = (await http.get("/stats/timeseries")).json()
        assert sum(each["turns"] for each in series["points"]) == 2
        assert await metric(http, "turns_total") == 2


async def test_the_timeseries_has_a_point_for_each_minute(server: Served) -> None:
    async with client(server.url) as http:
        await ask(http)
        series = (await http.get("/stats/timeseries", params={"minutes": 1440})).json()
        points = series["points"]
        times = [datetime.fromisoformat(each["minute"]) for each in points]
        assert (series["minutes"], len(points)) == (1440, 1440)
        assert {(later - earlier).total_seconds() for earlier, later in pairwise(times)} == {60}
        assert 0 <= (datetime.now(UTC) - times[-1]).total_seconds() < 70
        assert sum(each["turns"] for each in points[-2:]) == 1
        totals = await stats(http)
        assert set(points[0]) - {"minute"} == set(totals) - {"since", "reset_by", "running"}
        for minutes in ("0", "-1", "2881", "x"):
            refused = await http.get("/stats/timeseries", params={"minutes": minutes})
            assert refused.status_code == 422
            assert refused.json()["error"]["param"] == "minutes"


async def test_a_token_is_needed(server: Served) -> None:
    async with httpx.AsyncClient(base_url=server.url) as http:
        for path in ("/stats", "/stats/timeseries", "/metrics"):
            assert (await http.get(path)).status_code == 401
        assert (await http.post("/reset-stats")).status_code == 401


async def test_metrics_can_be_public(tmp_path: Path) -> None:
    async with serving(tmp_path, metrics_public=True) as served, httpx.AsyncClient(base_url=served.url) as http:
        assert (await http.get("/metrics")).status_code == 200
        assert (await http.get("/stats")).status_code == 401


async def test_statistics_survive_a_restart(database_url: SecretStr, tmp_path: Path) -> None:
    async with serving(tmp_path, database_url=database_url) as served, client(served.url) as http:
        await ask(http)
        await ask(http, "unknown")
    async with serving(tmp_path, database_url=database_url) as served, client(served.url) as http:
        found = await stats(http)
        assert (found["turns"], found["requests"]) == (1, 2)
        assert await metric(http, "turns_total") == 0  # Prometheus expects counters to begin with the process


async def test_workers_add_up_and_a_killed_one_loses_at_most_a_second(tmp_path: Path) -> None:
    server = server_in(tmp_path / "server", workers=2, metrics_dir=tmp_path)
    server.program = (sys.executable, *SWITCHBOARD)  # a process with workers that nobody has forked
    async with running(server):
        for _ in range(10):  # on new connections, so that both workers get some
            async with client(server.url) as http:
                await ask(http)
        async with client(server.url) as http:
            await until(lambda: stats(http), turns=10, requests=10)
            async with asyncio.timeout(30):  # each worker writes its numbers for the other one
                while (
                    await metric(http, "breaker_state", state="closed") != 2 or await metric(http, "turns_total") != 10
                ):
                    await asyncio.sleep(0.1)
        async with asyncio.timeout(10):
            while _stored_turns(tmp_path / "server") < 10:
                await asyncio.sleep(0.05)
        os.kill(worker_pids(server)[0], signal.SIGKILL)
        async with client(server.url) as http:
            assert await metric(http, "turns_total") == 10
            assert (await stats(http))["turns"] == 10
            async with asyncio.timeout(30):
                while await metric(http, "breaker_state", state="closed") != 1:
                    await asyncio.sleep(0.1)
        await server.stop()
    assert not list(tmp_path.glob("switchboard-*"))


def _stored_turns(folder: Path) -> int:
    """The turns that the database has of all processes."""
    with closing(sqlite3.connect(folder / "data" / "switchboard.db")) as database:
        rows = database.execute("SELECT counts FROM statistics WHERE minute = 0").fetchall()
    models = [fields for (counts,) in rows for fields in json.loads(counts)["models"].values()]
    return sum(count for fields in models for name, count in fields.items() if name.startswith("turns."))
