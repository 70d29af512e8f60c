"""Requests that would hold the server's event loop or its memory."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from api.http.large_bodies import LargeBodies
from tests.support.server_process import ServerProcess, running, server_in
from tests.support.serving import TOKEN, Served, fake, serving

LARGEST = 2 * 1024 * 1024
CHAT = "/v1/chat/completions"


def body_of(size: int) -> bytes:
    """A request of exactly so many bytes."""
    body: dict[str, Any] = {"messages": [{"role": "system", "content": ""}, {"role": "user", "content": "Hi"}]}
    body["messages"][0]["content"] = "x" * (size - len(orjson.dumps(body)))
    return orjson.dumps(body)


def peak_memory(server: ServerProcess) -> float:
    """The most megabytes of memory that the server has used."""
    assert server.process is not None
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{server.process.pid}/status").read_text())
    assert found is not None
    return int(found[1]) / 1000


async def test_many_tools_are_refused_at_once(tmp_path: Path) -> None:
    functions = [{"name": f"f{number}"} for number in range(60_000)]
    body = {"messages": [{"role": "user", "content": "Hi"}], "functions": functions}
    async with serving(tmp_path) as server, httpx.AsyncClient(base_url=server.url, headers=server.headers) as http:
        began = time.perf_counter()
        response = await http.post("/v1/chat/completions", json=body, timeout=60)
        assert response.status_code == 400, response.text
        assert "at most 128 tools, not 60000" in response.json()["error"]["message"]
        assert response.json()["error"]["param"] == "functions"
        assert time.perf_counter() - began < 5


async def test_many_of_the_largest_bodies_take_a_bounded_memory(tmp_path: Path) -> None:
    """In this time, the server would read all of them, which are 160 MB."""
    content = body_of(LARGEST)
    server = server_in(tmp_path, fake("fake", "fake/echo?first=2s"), fake("small"), max_body_memory=8 * LARGEST)
    async with running(server), client_of(server.url) as http:
        await http.post(CHAT, content=body_of(1000))
        before = peak_memory(server)
        requests = [asyncio.create_task(http.post(CHAT, content=content)) for _ in range(80)]
        done, _ = await asyncio.wait(requests, return_when=asyncio.FIRST_COMPLETED)
        small = {"model": "small", "messages": [{"role": "user", "content": "Hi"}]}
        assert (await http.post(CHAT, json=small)).status_code == 200
        grown = peak_memory(server) - before
        for each in requests:
            each.cancel()
        await asyncio.wait(requests)
        assert {each.result().status_code for each in done} == {200}
        assert grown < 120


async def test_a_large_body_that_finds_no_memory_is_told_to_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.app.LargeBodies", partial(LargeBodies, wait=0.2))
    async with serving(tmp_path, fake(), max_body_memory=LARGEST) as server, client_of(server.url) as http:
        wait = {"model": "fake", "stream": True, "messages": [{"role": "user", "content": "/say Hm.\n/wait 60s"}]}
        large = {**wait, "user": "x" * 100_000}
        async with http.stream("POST", CHAT, json=large) as first:
            assert first.status_code == 200
            refused = await http.post(CHAT, content=body_of(LARGEST))
            assert (refused.status_code, refused.json()["error"]["code"]) == (503, "server_busy")
            assert refused.headers["retry-after"] == "1"
            assert (await http.post(CHAT, content=body_of(60_000))).status_code == 200
        async with asyncio.timeout(10):
            while (await http.post(CHAT, content=body_of(LARGEST))).status_code != 200:
                pass


@pytest.fixture
async def limited(tmp_path: Path) -> AsyncIterator[Served]:
    async with serving(tmp_path, head_timeout=0.3, body_timeout=0.3) as server:
        yield server


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        ("GET /v1/models HTTP/1.1\r\nHost: a\r\nX: " + "x" * 70_000, 431, "head_too_large"),
        ("GET /v1/models HTTP/1.1\r\nHost: a\r\n" + "X: y\r\n" * 100 + "\r\n", 431, "head_too_large"),
        ("GET /v1/models HTTP/1.1\r\nHost: a\r\n", 408, "request_timeout"),
        (
            f"POST {CHAT} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: 9\r\n\r\n{{",
            408,
            "request_timeout",
        ),
    ],
    ids=["large head", "many headers", "half a head", "half a body"],
)
async def test_heads_and_bodies_have_limits_in_size_and_time(
    limited: Served, sent: str, status: int, code: str
) -> None:
    address = httpx.URL(limited.url)
    reader, writer = await asyncio.open_connection(address.host, address.port)
    writer.write(sent.encode())
    async with asyncio.timeout(10):
        answer = await reader.read()
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode())
    assert orjson.loads(body)["error"]["code"] == code


@pytest.mark.parametrize(
    ("fields", "param", "says"),
    [
        ({"messages": [{"role": "user", "content": "Hi"}] * 2001}, "messages", "at most 2000 messages"),
        (
            {"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}] * 1001}]},
            "messages[0].content",
            "1000",
        ),
        (
            {"tools": [{"type": "function", "function": {"name": f"f{n}"}} for n in range(129)]},
            "tools",
            "at most 128 tools",
        ),
        ({"metadata": orjson.loads("[" * 70 + "]" * 70)}, None, "more than 64 levels deep"),
    ],
    ids=["messages", "parts", "tools", "depth"],
)
async def test_bodies_have_limits_in_number_and_depth(
    limited: Served, fields: dict[str, Any], param: str | None, says: str
) -> None:
    async with client_of(limited.url) as http:
        refused = await http.post(CHAT, json={"messages": [{"role": "user", "content": "Hi"}], **fields})
    assert refused.status_code == 400
    error = refused.json()["error"]
    assert (error["param"], error["type"]) == (param, "invalid_request_error") and says in error["message"]


def client_of(url: str) -> httpx.AsyncClient:
    headers = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"}
    return httpx.AsyncClient(base_url=url, headers=headers, timeout=60, limits=httpx.Limits(max_connections=None))
