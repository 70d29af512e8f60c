"""Attacks with the body of a request: slow, endless, compressed, deep, or no JSON."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat
from typing import Any, Final

from bench.fuzz.connection import Attack
from bench.fuzz.target import FuzzTarget

INVALID: Final = (400, 422)
TOO_LARGE: Final = (413,)
LATE: Final = (408,)
BOMB: Final = 32 << 20
"""Bytes that a compressed body would have."""

DEPTH: Final = 100_000

CALLS: Final = (
    "/v1/chat/completions", "/v1/embeddings", "/chat", "/chat/stream", "/agent/invoke", "/agent/invoke/stream",
    "/agent/invoke/async", "/agent/resume", "/agent/resume/stream", "/agent/resume/async", "/agent/write/longterm",
    "/agent/cancel/ada/s1", "/agents/create-agent", "/agents/create-conversation", "/agents/chat-agent",
    "/agents/chat-agent/stream", "/console/chat", "/console/drill", "/console/models-file/check",
)  # fmt: skip
"""Every path that reads a body."""


def attacks(target: FuzzTarget, paths: Sequence[str] = CALLS) -> list[Attack]:
    """All attacks with bodies; those with values go to each of `paths`."""
    request = _Requests(target)
    return [
        *_slow(request),
        *_chunks(request),
        *_lengths(request),
        *_compressed(request),
        *(attack for path in paths for attack in _values(request, path)),
        *_messages(request),
    ]


class _Requests:
    def __init__(self, target: FuzzTarget) -> None:
        self._head = b"host: x\r\nconnection: close\r\ncontent-type: application/json\r\nauthorization: Bearer "
        self._head += target.token.encode() + b"\r\n"

    def head(self, framing: bytes, path: str = CALLS[0]) -> bytes:
        return b"POST %b HTTP/1.1\r\n" % path.encode() + self._head + framing + b"\r\n\r\n"

    def whole(self, body: bytes, path: str = CALLS[0], more: bytes = b"") -> list[bytes]:
        return [self.head(more + b"content-length: %d" % len(body), path) + body]


def _slow(request: _Requests) -> Iterator[Attack]:
    body = json.dumps({"messages": [{"role": "user", "content": "Hi" * 200}]}).encode()
    head = request.head(b"content-length: %d" % len(body))
    yield Attack("a body byte by byte", lambda: (head, *(body[at : at + 1] for at in range(400))), LATE, pause=0.1)
    yield Attack("half a body", lambda: [head + body[:20]], LATE)
    yield Attack("no body", lambda: [head], LATE)
    yield Attack("a connection closed in a body", lambda: [head + body[:20]], (None, 400), half_closes=True)
    chunked = request.head(b"transfer-encoding: chunked")
    yield Attack("chunks of one byte, slowly", lambda: (chunked, *repeat(b"1\r\n \r\n", 1000)), LATE, pause=0.05)
    expecting = request.head(b"expect: 100-continue\r\ncontent-length: 10")
    yield Attack("an expectation without a body", lambda: [expecting], (100, 408))


def _chunks(request: _Requests) -> Iterator[Attack]:
    head = request.head(b"transfer-encoding: chunked")

    def endless(more: bytes) -> Iterator[bytes]:
        yield head
        yield from repeat(more)

    yield Attack("endless chunks", lambda: endless(b"ffff\r\n" + b" " * 0xFFFF + b"\r\n"), (*TOO_LARGE, None))
    yield Attack(
        "endless chunks of one byte", lambda: endless(b"1\r\n \r\n" * 4000), (*TOO_LARGE, 408, None), within=20
    )
    yield Attack("an endless extension of a chunk", lambda: endless(b"1;" + b"x" * 8000), (400, 431, None))
    yield Attack("endless trailers", lambda: (head + b"0\r\n", *repeat(b"a: b\r\n" * 1000, 1000)), (400, 431, None))
    for name, size in {
        "no number": b"zz",
        "negative": b"-1",
        "of 40 digits": b"f" * 40,
        "signed": b"+2",
        "with a prefix": b"0x2",
        "blank": b" ",
    }.items():
        yield Attack(f"a chunk size that is {name}", lambda size=size: [head + size + b"\r\n{}\r\n0\r\n\r\n"], (400,))
    yield Attack("a chunk longer than its size", lambda: [head + b"2\r\n{}{}\r\n0\r\n\r\n"], (400,))
    yield Attack("a chunk that never ends", lambda: [head + b"ffffffff\r\n{}"], LATE)


def _lengths(request: _Requests) -> Iterator[Attack]:
    yield Attack("a length of a terabyte", lambda: [request.head(b"content-length: 1099511627776") + b"{}"], TOO_LARGE)
    yield Attack("a body that is too large", lambda: request.whole(b" " * (3 << 20)), (*TOO_LARGE, None))
    yield Attack("a body longer than its length", lambda: [request.head(b"content-length: 2") + b"{}{}"], (400,))
    yield Attack("an empty body", lambda: request.whole(b""), (400,))


def _compressed(request: _Requests) -> Iterator[Attack]:
    bombs = {
        "gzip": gzip.compress(bytes(BOMB)),
        "deflate": zlib.compress(bytes(BOMB)),
        "br": b"\x8b\x7f\xff",
        "zstd": b"x",
    }
    for encoding, body in bombs.items():
        header = b"content-encoding: %b\r\n" % encoding.encode()
        yield Attack(
            f"a bomb of {encoding}", lambda body=body, header=header: request.whole(body, more=header), INVALID
        )
    gzipped = b"transfer-encoding: gzip, chunked"
    chunk = b"%x\r\n%b\r\n0\r\n\r\n" % (len(bombs["gzip"]), bombs["gzip"])
    yield Attack("a bomb in the transfer encoding", lambda: [request.head(gzipped) + chunk], (400,))


def _values(request: _Requests, path: str) -> Iterator[Attack]:
    """No JSON, JSON that is no object, and JSON that other parsers choke on."""
    bodies = {
        "deep arrays": b"[" * DEPTH,
        "deep closed arrays": b"[" * DEPTH + b"]" * DEPTH,
        "deep objects": b'{"a":' * DEPTH,
        "a deep field": b'{"messages":' + b"[" * DEPTH + b"]" * DEPTH + b"}",
        "a field as deep as the parser allows": b'{"messages":' + b"[" * 900 + b"]" * 900 + b"}",
        "invalid UTF-8": b'{"message": "\xff\xfe"}',
        "a lone surrogate": b'{"message": "\\ud800"}',
        "a surrogate in UTF-8": b'{"message": "\xed\xa0\x80"}',
        "a BOM": b"\xef\xbb\xbf{}",
        "UTF-16": '{"message": "Hi"}'.encode("utf-16"),
        "1e400": b'{"temperature": 1e400, "ttl": 1e400}',
        "NaN": b'{"temperature": NaN}',
        "an integer of 4,000 digits": b'{"max_tokens": ' + b"9" * 4000 + b"}",
        "a fraction of 4,000 digits": b'{"temperature": 0.' + b"9" * 4000 + b"}",
        "an array": b"[]",
        "a string": b'"x"',
        "null": b"null",
        "a hundred thousand keys": json.dumps({str(number): number for number in range(DEPTH)}).encode(),
        "the same key a hundred thousand times": b"{" + b'"a":1,' * DEPTH + b'"a":1}',
        "only white space": b" \n" * DEPTH,
    }

    for name, body in bodies.items():
        yield Attack(f"{path}: {name}", lambda body=body: request.whole(body, path), INVALID)


def _messages(request: _Requests) -> Iterator[Attack]:
    """Valid JSON of which a part is parsed again."""

    def chat(**fields: Any) -> list[bytes]:
        body = {"model": "fake", "messages": [{"role": "user", "content": "Hi"}], **fields}
        return request.whole(json.dumps(body, ensure_ascii=False).encode(errors="surrogatepass"))

    def called(arguments: str) -> Iterable[bytes]:
        call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": arguments}}
        history = [{"role": "assistant", "content": None, "tool_calls": [call]}, {"role": "user", "content": "Hi"}]
        return chat(messages=history)

    fine = (200, *INVALID)
    for name, arguments in {
        "deep arrays": "[" * DEPTH,
        "deep objects": '{"a":' * DEPTH,
        "a million quotes": '"' * 1_000_000,
        "a million braces": "{" * 1_000_000 + "x",
        "a million backslashes": '{"a": "' + "\\" * 1_000_000,
        "an integer of 100,000 digits": '{"a": ' + "9" * DEPTH + "}",
        "an integer of 100 digits": '{"a": ' + "9" * 100 + "}",
        "1e400": '{"a": 1e400}',
        "NaN": '{"a": NaN}',
        "a lone surrogate": '{"a": "\\ud800"}',
        "NUL": "\0",
    }.items():
        yield Attack(f"arguments of a call: {name}", lambda arguments=arguments: called(arguments), fine)
    schema: dict[str, Any] = {}
    for _ in range(50):
        schema = {"type": "object", "properties": {"a": schema}, "required": ["a"]}
    endless = {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}
    pattern = {"type": "object", "properties": {"a": {"type": "string", "pattern": "^(a+)+$"}}, "required": ["a"]}
    for name, parameters in {"deep": schema, "endless": endless, "with a slow pattern": pattern}.items():
        tool = {"type": "function", "function": {"name": "f", "parameters": parameters}}
        yield Attack(
            f"a tool's schema: {name}", lambda tool=tool: chat(tools=[tool], tool_choice="required"), (*fine, 503)
        )
        form = {"type": "json_schema", "json_schema": {"name": "f", "schema": parameters}}
        yield Attack(f"an answer's schema: {name}", lambda form=form: chat(response_format=form), (*fine, 503))
    for name, text in {
        "long numbers": "9" * 5000 + " x " + "9" * 5000,
        "a million letters": "a" * 1_000_000,
        "half a million digits": "1" * 500_000,
        "ten thousand Chinese words": "上海" * 10_000,
        "ten thousand words": "weather " * 10_000,
        "a script with deep arguments": "/call f " + "[" * DEPTH,
        "a script with a long number": "/tokens " + "9" * 5000,
        "a script that waits for ever": "/wait " + "9" * 5000 + "s",
        "a script with a lot of text": "/tokens 10000\n" * 1000,
    }.items():
        said = [{"role": "user", "content": text}]
        yield Attack(f"a message: {name}", lambda said=said: chat(messages=said), (*fine, 503), within=60)
