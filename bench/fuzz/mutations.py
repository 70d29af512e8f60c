"""Valid requests with random damage."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from random import Random
from typing import Final

from bench.fuzz.bodies import CALLS
from bench.fuzz.connection import Attack
from bench.fuzz.target import FuzzTarget

DOCUMENTED: Final = (200, 202, 307, 400, 401, 404, 405, 408, 409, 413, 422, 431)
"""What any request may be answered with while everything that the server needs works.

307: damage can put a slash at the end of a path, and such a path leads to the one without.
"""

BODIES: Final = (
    {"messages": [{"role": "user", "content": "Hi"}], "stream": True},
    {"model": "vectors", "input": ["Hi"]},
    {"user_id": "ada", "session_id": "s1", "query": "Hi"},
    {"user_id": "ada", "session_id": "s1", "response_type": "accept"},
    {"message": "Hi"},
    {"context": "You are kind.", "first_message": "Hi", "instructions": "Be brief."},
)
PATHS: Final = (
    "/v1/models/fake",
    "/agent/status/ada/s1",
    "/agent/longterm/ada?query=Hi&limit=2",
    "/agents/get-agents?limit=1",
)
TOKENS: Final = (
    b"\r\n", b"\n", b"\r", b"\0", b" ", b":", b"chunked", b"HTTP/1.1", b"%00", b"%2f", b"../", b"\xff", b"{", b"[",
    b'"', b"\\u0000", b"\\ud800", b"-1", b"0", b"9" * 30, b"1e400", b"null", b"\r\n\r\n",
    b"transfer-encoding: chunked\r\n",
)  # fmt: skip


def mutated_requests(target: FuzzTarget, seed: int) -> Iterator[Attack]:
    """Endless; the same for the same seed."""
    random = Random(seed)
    originals = list(_originals(target))
    while True:
        data = random.choice(originals)
        for _ in range(random.choice((1, 1, 2, 3, 8))):
            data = random.choice(DAMAGE)(data, random)
        yield Attack("a mutated request", lambda data=data: [data], (*DOCUMENTED, None), within=0.5, may_stay_open=True)


def _originals(target: FuzzTarget) -> Iterator[bytes]:
    head = f"host: x\r\nauthorization: Bearer {target.token}\r\nconnection: close\r\n".encode()
    for path in PATHS:
        yield b"GET %b HTTP/1.1\r\n%b\r\n" % (path.encode(), head)
    for path in CALLS:
        for fields in BODIES:
            body = json.dumps(fields).encode()
            post = b"POST %b HTTP/1.1\r\n%bcontent-type: application/json\r\n" % (path.encode(), head)
            yield post + b"content-length: %d\r\n\r\n%b" % (len(body), body)
            yield post + b"transfer-encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


def _flip(data: bytes, random: Random) -> bytes:
    at = random.randrange(len(data) or 1)
    return data[:at] + bytes([random.randrange(256)]) + data[at + 1 :]


def _insert(data: bytes, random: Random) -> bytes:
    at = random.randrange(len(data) + 1)
    return data[:at] + random.choice(TOKENS) + data[at:]


def _delete(data: bytes, random: Random) -> bytes:
    at = random.randrange(len(data) + 1)
    return data[:at] + data[at + random.randrange(1, 20) :]


def _repeat(data: bytes, random: Random) -> bytes:
    at = random.randrange(len(data) + 1)
    return data[:at] + data[at : at + random.randrange(1, 40)] * random.choice((2, 2, 10, 200)) + data[at:]


def _cut(data: bytes, random: Random) -> bytes:
    return data[: random.randrange(len(data) + 1)]


DAMAGE: Final[tuple[Callable[[bytes, Random], bytes], ...]] = (_flip, _insert, _delete, _repeat, _cut)
