"""What browsers are told: security headers on every answer, and CORS only for the origins that are listed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from agent.turns import TurnService
from api.http.security_headers import HEADERS
from tests.support.serving import Served, fake, serving

APP = "https://app.example"
HELLO = {"model": "fake", "messages": [{"role": "user", "content": "Hello"}]}
PREFLIGHT = {
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization,content-type,x-stainless-os",
}


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Served]:
    async with serving(tmp_path, fake(), cors_origins=(APP, "http://localhost:5173")) as server:
        yield server


@pytest.fixture
async def http(server: Served) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server.url, headers=server.headers, timeout=10) as http:
        yield http


async def test_every_answer_has_the_security_headers(http: httpx.AsyncClient) -> None:
    answers = {
        "answer": await http.post("/v1/chat/completions", json=HELLO),
        "native": await http.post("/chat", json={"message": "Hello", "user_id": "ann"}),
        "refused": await http.post("/v1/chat/completions", json={}),
        "unknown": await http.get("/nothing"),
        "not allowed": await http.delete("/v1/chat/completions"),
        "no token": await http.get("/v1/models", headers={"authorization": ""}),
        "health": await http.get("/health"),
        "description": await http.get("/openapi.json"),
    }
    for name, answer in answers.items():
        assert {each: answer.headers.get_list(each) for each in HEADERS} == {
            each: [value] for each, value in HEADERS.items()
        }, name
        assert "server" not in answer.headers, name


async def test_a_stream_has_them_too_and_is_not_stored(http: httpx.AsyncClient) -> None:
    answer = await http.post("/v1/chat/completions", json=HELLO | {"stream": True})
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers.get_list("cache-control") == ["no-cache, no-store"]
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("path", "accept"),
    [("/", "text/html"), ("/docs", "*/*"), ("/docs/start.js", "*/*"), ("/console/main.js", "*/*")],
)
async def test_pages_have_a_policy_of_their_own(http: httpx.AsyncClient, path: str, accept: str) -> None:
    headers = (await http.get(path, headers={"accept": accept})).headers
    [policy] = headers.get_list("content-security-policy")
    assert "script-src 'self'" in policy and "frame-ancestors 'none'" in policy
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert (headers["x-frame-options"], headers["x-content-type-options"]) == ("DENY", "nosniff")
    assert headers.get_list("cache-control") == ["no-cache"]


async def test_a_crash_has_them_its_id_and_its_origin(http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(TurnService, "begin", crash)
    answer = await http.post("/v1/chat/completions", json=HELLO, headers={"origin": APP, "x-request-id": "call-7"})
    assert (answer.status_code, answer.headers["x-request-id"]) == (500, "call-7")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["access-control-allow-origin"] == APP


async def test_bytes_that_are_no_request_are_answered_with_them(server: Served) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", httpx.URL(server.url).port)
    writer.write(b"what is this\r\n\r\n")
    head = (await reader.read()).partition(b"\r\n\r\n")[0].decode().lower()
    writer.close()
    assert all(f"\r\n{name}: {value.lower()}" in head for name, value in HEADERS.items()), head


async def test_a_listed_origin_may_send_a_token_and_read_the_answer(http: httpx.AsyncClient) -> None:
    allowed = await http.options("/v1/chat/completions", headers={"origin": APP, "authorization": "", **PREFLIGHT})
    assert (allowed.status_code, allowed.headers["access-control-allow-origin"]) == (200, APP)
    assert "authorization" in allowed.headers["access-control-allow-headers"].lower()
    assert "POST" in allowed.headers["access-control-allow-methods"]
    for stream in (False, True):
        answer = await http.post("/v1/chat/completions", json=HELLO | {"stream": stream}, headers={"origin": APP})
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, APP)
        assert "x-request-id" in answer.headers["access-control-expose-headers"]
        assert answer.headers["vary"] == "Origin"
        assert "access-control-allow-credentials" not in answer.headers
    refused = await http.get("/v1/models", headers={"origin": APP, "authorization": ""})
    assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, APP)


@pytest.mark.parametrize("origin", ["https://evil.example", "https://app.example.evil.example", "http://app.example"])
async def test_another_origin_may_not(http: httpx.AsyncClient, origin: str) -> None:
    asked = await http.options("/v1/chat/completions", headers={"origin": origin, **PREFLIGHT})
    assert asked.status_code == 400
    answer = await http.post("/v1/chat/completions", json=HELLO, headers={"origin": origin})
    for each in (asked, answer):
        assert "access-control-allow-origin" not in each.headers


async def test_without_the_setting_no_origin_may(tmp_path: Path) -> None:
    async with serving(tmp_path) as server, httpx.AsyncClient(base_url=server.url, headers=server.headers) as http:
        asked = await http.options("/v1/chat/completions", headers={"origin": APP, **PREFLIGHT})
        assert asked.status_code == 405
        answer = await http.post("/v1/chat/completions", json=HELLO, headers={"origin": APP})
        assert answer.status_code == 200
        for each in (asked, answer):
            assert not [name for name in each.headers if name.startswith("access-control-")]


async def test_a_star_allows_every_origin_without_credentials(tmp_path: Path) -> None:
    async with (
        serving(tmp_path, cors_origins=("*",)) as server,
        httpx.AsyncClient(base_url=server.url, headers=server.headers) as http,
    ):
        answer = await http.post("/v1/chat/completions", json=HELLO, headers={"origin": APP, "cookie": "a=b"})
        assert answer.headers["access-control-allow-origin"] in ("*", APP)
        assert "access-control-allow-credentials" not in answer.headers
