"""The limits of callers and of the server, through the real server and every API that runs turns."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from pydantic import SecretStr

from agent.callers import spending as spending_module
from agent.callers.turn_places import TurnPlaces
from tests.integration.test_callers import Clients, ask, clients_of, code_of, entry, token_of, write
from tests.support.persona_client import CHEF
from tests.support.redis_server import redis_server
from tests.support.serving import TOKEN, fake, serving
from tests.support.task_client import TaskClient

EMBEDDINGS = {**fake("vectors", "fake/embedding"), "model_info": {"mode": "embedding"}}
MODELS = (fake("fake", input_cost_per_token=0.5, output_cost_per_token=2), fake("free"), EMBEDDINGS)
SLOW = "/say One moment.\n/wait 60s"
RATE_LIMITED = (429, "rate_limit_exceeded")
PATIENCE = 10


@asynccontextmanager
async def server(folder: Path, *entries: dict[str, Any], **settings: Any) -> AsyncIterator[Clients]:
    if entries:
        settings["callers_file"] = write(folder, *entries)
    async with serving(folder, *MODELS, agent={}, **settings) as served, clients_of(served.url) as clients:
        yield clients


async def conversation_of(http: httpx.AsyncClient) -> str:
    agent = (await http.post("/agents/create-agent", json=CHEF)).json()["id"]
    return str((await http.post("/agents/create-conversation", json={"agent_id": agent})).json()["id"])


async def said(http: httpx.AsyncClient, events: str) -> None:
    """Wait until the answer to SLOW, whose events are at this path, has its first words."""
    async with http.stream("GET", events) as response:
        async for line in response.aiter_lines():
            if "moment" in line:
                return
    pytest.fail("the answer ended without its first words")


@asynccontextmanager
async def speaking(http: httpx.AsyncClient, model: str = "free") -> AsyncIterator[None]:
    """A turn that has begun to answer, and goes on; at the end the caller hangs up."""
    body = {"model": model, "messages": [{"role": "user", "content": SLOW}], "stream": True}
    async with http.stream("POST", "/v1/chat/completions", json=body) as response:
        assert response.status_code == 200
        lines = response.aiter_lines()  # kept, because the response is closed with it
        async for line in lines:
            if '"content"' in line:
                break
        yield


async def until_admitted(http: httpx.AsyncClient) -> None:
    """A slot is free as soon as the server has noticed the hang-up."""
    async with asyncio.timeout(PATIENCE):
        while (await ask(http, "free")).status_code != 200:
            await asyncio.sleep(0.01)


async def test_requests_per_minute_count_on_every_api(tmp_path: Path) -> None:
    apis: list[tuple[str, dict[str, Any]]] = [
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "Hi"}]}),
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "Hi"}], "stream": True}),
        ("/v1/responses", {"input": "Hi"}),
        ("/v1/responses", {"input": "Hi", "stream": True}),
        ("/v1/responses", {"input": "Hi", "background": True}),
        ("/v1/responses", {"input": "Hi", "background": True, "stream": True}),
        ("/v1/embeddings", {"input": "Hi"}),
        ("/chat", {"message": "Hi"}),
        ("/chat/stream", {"message": "Hi"}),
        ("/agent/invoke", {"user_id": "ann", "query": "Hi"}),
        ("/agent/invoke/stream", {"user_id": "ann", "query": "Hi"}),
        ("/agents/chat-agent", {"message": "Hi"}),
        ("/agents/chat-agent/stream", {"message": "Hi"}),
        ("/console/chat", {"messages": [{"role": "user", "content": "Hi"}]}),
        ("/agent/invoke/async", {"user_id": "ben", "query": "Hi"}),
    ]
    resume = {"user_id": "ann", "session_id": "s", "response_type": "accept"}
    refused_only = [(f"/agent/resume{each}", resume) for each in ("", "/stream", "/async")]
    async with server(tmp_path, entry("a", requests_per_minute=len(apis))) as clients:
        http, other = await clients.of("a"), await clients.of(TOKEN)
        conversation = await conversation_of(other)
        for path, body in apis:
            body |= {"conversation_id": conversation} if path.startswith("/agents/") else {}
            assert (await http.post(path, json=body)).is_success, path
        for path, body in [*apis, *refused_only]:
            refused = await http.post(path, json=body)
            assert code_of(refused) == RATE_LIMITED, path
            assert refused.json()["error"]["type"] == "rate_limit_error"
            assert 1 <= int(refused.headers["retry-after"]) <= 120
        theirs = await http.post("/v1/messages", json={**apis[0][1], "max_tokens": 9})
        assert (theirs.status_code, theirs.json()["error"]["type"]) == (429, "rate_limit_error")  # in Anthropic's form
        assert (await http.get("/v1/models")).status_code == 200  # only turns count
        assert (await ask(other, "free")).status_code == 200


async def test_openais_headers_tell_how_a_caller_stands(tmp_path: Path) -> None:
    async with server(tmp_path, entry("a", requests_per_minute=2, tokens_per_minute=1000), entry("b")) as clients:
        http = await clients.of("a")
        whole, streamed = await ask(http, "free"), await ask(http, "free", stream=True)
        refused = await ask(http, "free")
        assert code_of(refused) == RATE_LIMITED
        for response, left in ((whole, "1"), (streamed, "0"), (refused, "0")):
            headers = response.headers
            assert headers["x-ratelimit-limit-requests"] == "2"
            assert headers["x-ratelimit-remaining-requests"] == left
            assert headers["x-ratelimit-limit-tokens"] == "1000"
            assert re.fullmatch(r"(\dm)?[\d.]+s", headers["x-ratelimit-reset-requests"])
        spent = whole.json()["usage"]["total_tokens"]
        assert whole.headers["x-ratelimit-remaining-tokens"] == "1000"
        assert streamed.headers["x-ratelimit-remaining-tokens"] == str(1000 - spent)
        for name in ("b", TOKEN):
            assert "x-ratelimit-limit-requests" not in (await ask(await clients.of(name), "free")).headers


async def test_a_task_spends_the_budget_of_its_caller_and_waits_for_no_place(tmp_path: Path) -> None:
    async with server(tmp_path, entry("a", monthly_budget=1, parallel_turns=1)) as clients:
        http = await clients.of("a")
        client = TaskClient(http, "ann")
        async with speaking(http):
            assert (await client.ended(await client.submit("Hi", model="fake")))["status"] == "completed"
        refused = await client.post("invoke/async", query="Hi")
        assert code_of(refused) == (429, "insufficient_quota") and refused.headers["x-should-retry"] == "false"
        assert (await client.post("invoke/async", query="Hi", user_id="ben")).status_code == 429


async def test_a_task_that_waited_is_refused_when_the_budget_is_used_up(tmp_path: Path) -> None:
    async with server(tmp_path, entry("a", monthly_budget=1)) as clients:
        http = await clients.of("a")
        client = TaskClient(http, "ann")
        first = await client.submit(SLOW)
        await said(http, f"/agent/task/{first}/events")
        waits = await client.submit("Hi")
        assert (await ask(http, "fake")).status_code == 200
        await client.cancel_task(first)
        ended = await client.ended(waits)
        assert (ended["status"], ended["error"]["code"]) == ("error", "insufficient_quota")


async def test_a_response_that_waited_is_refused_when_the_budget_is_used_up(tmp_path: Path) -> None:
    async with server(tmp_path, entry("a", monthly_budget=1), task_concurrency=1) as clients:
        http = await clients.of("a")
        slow, waits = [
            (await http.post("/v1/responses", json={"model": "free", "input": text, "background": True})).json()["id"]
            for text in (SLOW, "Hi")
        ]
        await said(http, f"/v1/responses/{slow}?stream=true")
        assert (await ask(http, "fake")).status_code == 200
        assert (await http.post(f"/v1/responses/{slow}/cancel")).json()["status"] == "cancelled"
        events = (await http.get(f"/v1/responses/{waits}?stream=true")).text
        assert "event: response.failed" in events and "rate_limit_exceeded" in events


async def test_tokens_per_minute_refuse_the_next_turn(tmp_path: Path) -> None:
    async with server(tmp_path, entry("a", tokens_per_minute=50), entry("b", tokens_per_minute=5)) as clients:
        http, embedding = await clients.of("a"), await clients.of("b")
        assert (await ask(http, "free", messages=[{"role": "user", "content": "/tokens 60"}])).status_code == 200
        refused = await ask(http, "free")
        assert code_of(refused) == RATE_LIMITED and "tokens per minute is reached: 50." in refused.text
        assert (await embedding.post("/v1/embeddings", json={"input": "x" * 40})).status_code == 200
        assert code_of(await embedding.post("/v1/embeddings", json={"input": "x"})) == RATE_LIMITED


async def test_parallel_turns_end_with_their_response(tmp_path: Path) -> None:
    async with server(tmp_path, entry("a", parallel_turns=1)) as clients:
        http, other = await clients.of("a"), await clients.of(TOKEN)
        async with speaking(http):
            refused = await ask(http, "free")
            assert code_of(refused) == RATE_LIMITED and refused.headers["retry-after"] == "1"
            assert (await ask(other, "free")).status_code == 200
        await until_admitted(http)
        for _ in range(3):
            assert (await ask(http, "free", stream=True)).status_code == 200
            assert (await ask(http, "no-such")).status_code == 404
            failed = [{"role": "user", "content": "/fail 400"}]
            assert (await ask(http, "free", messages=failed)).status_code == 400


async def test_a_budget_is_spent_over_restarts(tmp_path: Path) -> None:
    caller = entry("a", monthly_budget=100)
    async with server(tmp_path, caller) as clients:
        assert (await ask(await clients.of("a"), "fake")).status_code == 200
        before = await cost_of_callers(clients)
        async with speaking(await clients.of("a"), "fake"):
            pass
    async with server(tmp_path, caller) as clients:
        http = await clients.of("a")
        while (response := await ask(http, "fake")).status_code == 200:
            pass
        assert before < await cost_of_callers(clients) < 100 + 2 * before  # a hang-up costs something too
        error = response.json()["error"]
        assert (response.status_code, error["code"], error["type"]) == (429, "insufficient_quota", "insufficient_quota")
        assert 0 < int(response.headers["retry-after"]) <= 31 * 86_400
        assert response.headers["x-should-retry"] == "false"
        async with openai.AsyncOpenAI(base_url=f"{clients.url}/v1", api_key=token_of("a")) as client:
            with pytest.raises(openai.RateLimitError) as raised:
                await client.chat.completions.create(model="fake", messages=[{"role": "user", "content": "Hi"}])
        assert raised.value.code == "insufficient_quota"
        assert (await ask(await clients.of(TOKEN), "fake")).status_code == 200


async def cost_of_callers(clients: Clients) -> float:
    return float((await (await clients.of(TOKEN)).get("/stats")).json()["callers"]["a"]["total_cost"])


async def test_a_budget_that_cannot_be_checked_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with server(tmp_path, entry("a", monthly_budget=20), entry("b")) as clients:
        monkeypatch.setattr(spending_module, "GRACE", -1.0)
        refused = await ask(await clients.of("a"), "free")
        assert code_of(refused) == (503, "storage_unavailable") and refused.headers["retry-after"] == "1"
        assert (await ask(await clients.of("b"), "free")).status_code == 200


async def test_the_server_runs_so_many_turns_and_lets_as_many_wait(tmp_path: Path) -> None:
    async with server(tmp_path, max_parallel_turns=1) as clients, AsyncExitStack() as turn:
        http = await clients.of(TOKEN)
        await turn.enter_async_context(speaking(http))
        refused = await asyncio.gather(ask(http, "free"), ask(http, "free", stream=True))
        for each in refused:  # one at once, the other after it has waited
            assert code_of(each) == (503, "server_busy") and each.headers["retry-after"] == "1"
        waiting = asyncio.create_task(ask(http, "free"))
        await asyncio.sleep(0)
        await turn.aclose()
        assert (await waiting).status_code == 200


async def test_a_caller_that_hangs_up_while_it_waits_leaves_the_queue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.components.TurnPlaces", partial(TurnPlaces, wait=60.0))
    async with server(tmp_path, max_parallel_turns=1) as clients, AsyncExitStack() as turn:
        http = await clients.of(TOKEN)
        await turn.enter_async_context(speaking(http))
        (refused,), (waiting,) = await asyncio.wait(
            [asyncio.create_task(ask(http, "free")) for _ in range(2)], return_when=asyncio.FIRST_COMPLETED
        )
        assert code_of(refused.result()) == (503, "server_busy")
        waiting.cancel()
        async with asyncio.timeout(PATIENCE):
            while True:
                next_one = asyncio.create_task(ask(http, "free"))
                done, _ = await asyncio.wait([next_one], timeout=0.3)
                if not done:
                    break  # it has the place in the queue
                assert code_of(next_one.result()) == (503, "server_busy")
        await turn.aclose()
        assert (await next_one).status_code == 200


async def test_two_servers_share_limits_and_budgets(tmp_path: Path) -> None:
    callers = write(tmp_path, entry("a", requests_per_minute=3, parallel_turns=1), entry("b", monthly_budget=0.01))
    async with redis_server() as redis, AsyncExitStack() as stack:
        shared = {"redis_url": SecretStr(redis.url), "data_dir": tmp_path / "data", "callers_file": callers}
        both = []
        for folder in (tmp_path / "one", tmp_path / "two"):
            folder.mkdir()
            served = await stack.enter_async_context(serving(folder, *MODELS, finds_blocking=False, **shared))
            both.append(await stack.enter_async_context(clients_of(served.url)))
        one, two = both
        here, there = await one.of("a"), await two.of("a")
        async with speaking(here):
            assert "turns at the same time" in (await ask(there, "free")).text
        await until_admitted(there)
        await until_admitted(here)
        for http in (here, there):
            assert "limit of requests per minute is reached: 3." in (await ask(http, "free")).text
        assert (await ask(await one.of("b"), "fake")).status_code == 200
        async with asyncio.timeout(PATIENCE):
            while (await ask(await two.of("b"), "free")).status_code != 429:
                await asyncio.sleep(0.05)
        await redis.kill()
        assert (await ask(here, "free")).status_code == 200  # each server counts alone
