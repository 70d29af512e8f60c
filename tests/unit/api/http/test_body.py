from __future__ import annotations

import gzip
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from starlette.requests import Request

from api.http.body import MAX_DEPTH, read_json_object
from api.http.errors import BodyTooLarge, ClientDisconnected
from api.http.large_bodies import LargeBodies
from config.errors import RequestError


def request(*parts: bytes, length: str | None = None, encoding: str | None = None) -> Request:
    left = list(parts)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": left.pop(0) if left else b"", "more_body": bool(left)}

    given = {b"content-length": length, b"content-encoding": encoding}
    headers = [(name, value.encode()) for name, value in given.items() if value is not None]
    held = {"state": {"large_bodies": LargeBodies(2**20)}, "switchboard.releases": []}
    return Request({"type": "http", "method": "POST", "headers": headers, **held}, receive)


def nested(depth: int) -> bytes:
    return b'{"a":' * depth + b"1" + b"}" * depth


async def test_a_caller_that_hangs_up_while_it_sends_is_gone() -> None:
    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    with pytest.raises(ClientDisconnected):
        await read_json_object(Request({"type": "http", "method": "POST", "headers": []}, receive), limit=100)


async def test_a_body_may_come_in_pieces() -> None:
    assert await read_json_object(request(b'{"a"', b":", b"1}"), limit=100) == {"a": 1}


async def test_a_compressed_body_is_called_that() -> None:
    with pytest.raises(RequestError, match=r"compressed.*without Content-Encoding"):
        await read_json_object(request(gzip.compress(b"{}"), encoding="gzip"), limit=100)
    with pytest.raises(RequestError, match="not valid JSON"):
        await read_json_object(request(b"{", encoding="identity"), limit=100)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b'{"a": NaN}', "not valid JSON"),
        (b'{"a": "\xff"}', "not valid JSON"),
        (rb'{"a": "\ud800"}', "surrogate"),
        (b"[1]", "not an array"),
        (b"null", "not null"),
        (b'"x"', "not a string"),
        (b"1.5", "not a number"),
        (nested(MAX_DEPTH + 1), "levels deep"),
        (nested(5000), "levels deep|not valid JSON"),
        (b"[" * 100_000, "levels deep|not valid JSON"),
    ],
)
async def test_each_wrong_body_has_a_clear_error(body: bytes, says: str) -> None:
    with pytest.raises(RequestError, match=says):
        await read_json_object(request(body), limit=2**20)


async def test_a_body_may_be_as_deep_as_the_limit_and_hold_many_brackets() -> None:
    assert await read_json_object(request(nested(MAX_DEPTH)), limit=2**20)
    assert await read_json_object(request(b'{"a":"' + b"[" * 500 + b'"}'), limit=2**20)


@pytest.mark.parametrize(
    "make", [lambda: request(b"{}", length="101"), lambda: request(b'{"a":"', b"x" * 200, b'"}')], ids=["told", "found"]
)
async def test_a_body_over_the_limit_is_refused_before_it_is_read_whole(make: Callable[[], Awaitable[Any]]) -> None:
    with pytest.raises(BodyTooLarge, match="100 bytes"):
        await read_json_object(make(), limit=100)  # type: ignore[arg-type]
