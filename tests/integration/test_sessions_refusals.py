"""What `/agent/*` refuses: each with a status of its own, the one error object, and nothing changed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.support.serving import serving
from tests.support.session_client import SessionClient, assert_error, client_of

LONG = "x" * 10_000
BAD_IDS = ["", " ", ".", "..", "\t", "a/b", "../a", "a\nb", "a\x00b", "a\x7fb", "a\u2028b", "x" * 257, LONG]
BAD_TTLS: list[Any] = [0, -1, "60", True, False, 1e30, 10**30, 1.5, [], {}]
BAD_QUERIES: list[Any] = ["", " ", "\n\t ", "\u3000", "a\x00b", "x" * 100_001, "x" * 1_000_000, None, 5, ["Hi"]]


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[SessionClient]:
    async with serving(tmp_path, agent={"tools": ["book_hotel"], "review": ["book_hotel"]}) as served:
        async with client_of(served) as client:
            yield client


async def nothing_changed(client: SessionClient) -> None:
    assert await client.get("sessionids/ann") == {"session_ids": []}


@pytest.mark.parametrize("field", ["user_id", "session_id"])
@pytest.mark.parametrize("path", ["invoke", "invoke/stream", "resume", "resume/stream"])
async def test_a_bad_id_in_a_body(client: SessionClient, path: str, field: str) -> None:
    good = {"session_id": "s"} | ({"query": "Hi"} if path.startswith("invoke") else {"response_type": "accept"})
    for bad in [*BAD_IDS, 5, ["a"], {"a": 1}]:
        refused = await client.post(path, **{**good, field: bad})
        assert assert_error(refused, 422, "invalid_field", f"{field}: ")["param"] == field
        assert len(refused.content) < 1000, "an error must not say all of a long id again"
    await nothing_changed(client)


async def test_a_user_id_is_never_guessed(client: SessionClient) -> None:
    for body in ({"query": "Hi"}, {"user_id": None, "query": "Hi"}):
        assert_error(await client.http.post("/agent/invoke", json=body), 422, "invalid_field", "user_id")


PATHS = [
    ("GET", "sessionids/{}"),
    ("GET", "active/sessionid/{}"),
    ("GET", "status/ann/{}"),
    ("GET", "status/{}/s"),
    ("GET", "history/{}/s"),
    ("GET", "history/ann/{}"),
    ("PATCH", "session/ann/{}"),
    ("DELETE", "session/ann/{}"),
    ("POST", "cancel/ann/{}"),
    ("GET", "longterm/{}"),
    ("DELETE", "longterm/{}/5a0c9a4e-61a3-4a52-9b0e-2f1f6f7f3c11"),
]


@pytest.mark.parametrize(("method", "path"), PATHS, ids=[f"{method} {path}" for method, path in PATHS])
async def test_a_bad_id_in_a_path(client: SessionClient, method: str, path: str) -> None:
    for bad in BAD_IDS:
        if bad in (".", ".."):
            continue  # the client resolves them away
        refused = await client.http.request(method, "/agent/" + path.format(quote(bad, safe="")), json={"ttl": 5})
        if "/" in bad:
            assert_error(refused, 422, "invalid_field", "contains a slash")
        elif not bad:
            assert refused.json()["error"]["code"] in ("not_found", "method_not_allowed")
        else:
            assert assert_error(refused, 422, "invalid_field", "must be 1 to 256")["param"] in ("user_id", "session_id")
        assert len(refused.content) < 1000


@pytest.mark.parametrize("path", ["invoke", "invoke/stream"])
async def test_a_bad_message(client: SessionClient, path: str) -> None:
    for bad in BAD_QUERIES:
        refused = await client.post(path, session_id="s", query=bad)
        assert assert_error(refused, 422, "invalid_field", "query: ")["param"] == "query"
    assert_error(await client.post(path, session_id="s"), 422, "invalid_field", "query: ")
    assert_error(await client.post(path, session_id="s", query="x" * 3_000_000), 413, "body_too_large")
    await nothing_changed(client)


async def test_a_bad_expiry(client: SessionClient) -> None:
    for bad in BAD_TTLS:
        refused = await client.post("invoke", session_id="s", query="Hi", ttl=bad)
        assert assert_error(refused, 422, "invalid_field", "ttl: ")["param"] == "ttl"
    await nothing_changed(client)
    await client.invoke("Hi")
    before = await client.status()
    for bad in BAD_TTLS:
        refused = await client.http.patch("/agent/session/ann/s", json={"ttl": bad})
        assert assert_error(refused, 422, "invalid_field", "ttl: ")["param"] == "ttl"
    assert_error(await client.http.patch("/agent/session/ann/s", json={}), 422, "invalid_field", "ttl: ")
    assert_error(await client.http.patch("/agent/session/ann/s"), 400, "invalid_request", "JSON")
    assert await client.status() == before


async def test_the_longest_and_the_shortest_that_are_taken(client: SessionClient) -> None:
    assert (await client.of("u" * 256).invoke("x" * 100_000, "s" * 256, ttl=1))["status"] == "completed"
    assert (await client.invoke("a", "a", ttl=10 * 366 * 24 * 3600))["status"] == "completed"
    assert (await client.invoke("a", "b", ttl=60.0))["status"] == "completed"  # a whole number, as JSON Schema has it


async def test_what_was_heard_has_to_be_text(client: SessionClient) -> None:
    await client.invoke("Hi")
    before = await client.transcript()
    for bad in (5, ["Hi"], "x" * 100_001, True):
        refused = await client.http.post("/agent/cancel/ann/s", json={"heard": bad})
        assert assert_error(refused, 422, "invalid_field", "heard: ")["param"] == "heard"
    assert_error(await client.http.post("/agent/cancel/ann/s", json={"herd": ""}), 422, "invalid_field", "herd")
    assert await client.transcript() == before


async def test_a_choice_that_there_is_not(client: SessionClient) -> None:
    for field, bad in (
        ("on_busy", "wait"),
        ("on_pending", "accept"),
        ("model", 5),
        ("model", "agent:chef"),
        ("system_message", "a\0b"),
    ):
        refused = await client.post("invoke", session_id="s", query="Hi", **{field: bad})
        assert assert_error(refused, 422, "invalid_field", f"{field}: ")["param"] == field
    await nothing_changed(client)


BODIES = [
    ("POST", "invoke", {"user_id": "ann", "query": "Hi"}),
    ("POST", "invoke/stream", {"user_id": "ann", "query": "Hi"}),
    ("POST", "resume", {"user_id": "ann", "session_id": "s", "response_type": "accept"}),
    ("POST", "resume/stream", {"user_id": "ann", "session_id": "s", "response_type": "accept"}),
    ("POST", "cancel/ann/s", {}),
    ("PATCH", "session/ann/s", {"ttl": 5}),
    ("POST", "write/longterm", {"user_id": "ann", "memory_info": "Likes tea."}),
]


@pytest.mark.parametrize(("method", "path", "good"), BODIES, ids=[path for _, path, _ in BODIES])
async def test_a_body_that_is_none(client: SessionClient, method: str, path: str, good: dict[str, Any]) -> None:
    async def ask(content: bytes) -> Any:
        return await client.http.request(method, f"/agent/{path}", content=content)

    for content, says in (
        (b"{", "not valid JSON"),
        (b"not json", "not valid JSON"),
        (b"\xff\xfe", "not valid JSON"),
        (b"[]", "an array"),
        (b'"Hi"', "a string"),
        (b"null", "null"),
        (b'{"a": ' + b"[" * 100 + b"]" * 100 + b"}", "nested"),
        (rb'{"query": "\ud800"}', "surrogate"),
    ):
        assert_error(await ask(content), 400, "invalid_request", says)
    unknown = await client.http.request(method, f"/agent/{path}", json={**good, "querry": 1})
    assert assert_error(unknown, 422, "invalid_field", "querry")["param"] == "querry"
    await nothing_changed(client)
    assert await client.memories() == []


async def test_a_page_that_there_cannot_be(client: SessionClient) -> None:
    await client.invoke("Hi")
    for path in ("sessionids/ann", "history/ann/s", "longterm/ann"):
        for name, bad in (("limit", 0), ("limit", 1001), ("limit", "x"), ("offset", -1), ("offset", 10**12)):
            refused = await client.http.get(f"/agent/{path}", params={name: bad})
            assert assert_error(refused, 422, "invalid_field", f"{name}: ")["param"] == name


async def test_what_does_not_exist(client: SessionClient) -> None:
    for method, path in (("GET", "history/ann/s"), ("DELETE", "session/ann/s"), ("POST", "cancel/ann/s")):
        assert_error(await client.http.request(method, f"/agent/{path}"), 404, "session_not_found")
    assert_error(await client.http.patch("/agent/session/ann/s", json={"ttl": 5}), 404, "session_not_found")
    assert_error(await client.http.get("/agent/nothing"), 404, "not_found")
    wrong = await client.http.get("/agent/invoke")
    assert_error(wrong, 405, "method_not_allowed")
    assert wrong.headers["allow"] == "POST"
    wrong = await client.http.put("/agent/session/ann/s", json={"ttl": 5})
    assert_error(wrong, 405, "method_not_allowed")
    assert wrong.headers["allow"] == "DELETE, PATCH"
    await nothing_changed(client)
