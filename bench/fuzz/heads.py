"""Attacks with the head of a request: slow, endless, malformed, or with two meanings."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import repeat
from typing import Final

from bench.fuzz.connection import Attack
from bench.fuzz.target import FuzzTarget

REFUSED: Final = (400,)
TOO_LARGE: Final = (431,)
LATE: Final = (408,)
CLOSE: Final = b"host: x\r\nconnection: close\r\n"
GET: Final = b"GET /health/live HTTP/1.1\r\n" + CLOSE


def attacks(target: FuzzTarget) -> list[Attack]:
    """All attacks with heads."""
    token = b"authorization: Bearer %b\r\n" % target.token.encode()
    return [*_slow(), *_large(), *_malformed(token), *_other_protocols(), *_ambiguous(token), *_many(token)]


def _slow() -> Iterator[Attack]:
    yield Attack("silence", lambda: [], (None,))
    yield Attack("a head byte by byte", lambda: (GET[at : at + 1] for at in range(len(GET))), LATE, pause=0.2)
    yield Attack("endless headers, slowly", lambda: (GET, *repeat(b"a: b\r\n", 1000)), LATE, pause=0.2)
    yield Attack("half a request line", lambda: [b"GET /hea"], LATE)
    yield Attack("a head without its last line", lambda: [GET], LATE)
    yield Attack("blank lines, slowly", lambda: repeat(b"\r\n", 1000), (*LATE, None), pause=0.2)


def _large() -> Iterator[Attack]:
    def endless(start: bytes, more: bytes) -> Iterator[bytes]:
        yield start
        yield from repeat(more)

    yield Attack("an endless header", lambda: endless(GET + b"a: ", b"x" * 8000), (*TOO_LARGE, None))
    yield Attack("endless headers", lambda: endless(GET, b"a: b\r\n" * 1000), (*TOO_LARGE, None))
    yield Attack("an endless path", lambda: endless(b"GET /", b"x" * 8000), (*TOO_LARGE, None))
    yield Attack("an endless query", lambda: endless(b"GET /?", b"a=b&" * 2000), (*TOO_LARGE, None))
    yield Attack("an endless method", lambda: endless(b"GET", b"T" * 8000), (400, *TOO_LARGE, None))
    yield Attack("endless blank lines", lambda: endless(b"", b"\r\n" * 4000), (*TOO_LARGE, None))
    yield Attack("ten thousand headers", lambda: [GET + b"a: b\r\n" * 10_000 + b"\r\n"], (*TOO_LARGE, None))
    yield Attack("101 headers", lambda: [GET + b"a: b\r\n" * 101 + b"\r\n"], TOO_LARGE)
    yield Attack("a header of 64 KiB", lambda: [GET + b"a: " + b"x" * 65536 + b"\r\n\r\n"], (*TOO_LARGE, None))
    yield Attack("a path of 1 MiB", lambda: [b"GET /" + b"x" * (1 << 20) + b" HTTP/1.1\r\n\r\n"], (*TOO_LARGE, None))


def _malformed(token: bytes) -> Iterator[Attack]:
    def get(path: bytes, headers: bytes = b"") -> list[bytes]:
        return [b"GET " + path + b" HTTP/1.1\r\n" + CLOSE + headers + b"\r\n"]

    yield Attack("NUL in a header", lambda: get(b"/health/live", b"a: b\0c\r\n"), REFUSED)
    yield Attack("NUL in the path", lambda: get(b"/health/li\0ve"), REFUSED)
    yield Attack("NUL, encoded, in a path", lambda: get(b"/agent/status/a%00b/s", token), (422,))
    yield Attack("NUL, encoded, in the name of a model", lambda: get(b"/v1/models/a%00b", token), (404,))
    yield Attack("invalid UTF-8 in the path", lambda: get(b"/v1/models/\xff\xfe", token), (400, 404))
    yield Attack("invalid UTF-8, encoded, in a path", lambda: get(b"/v1/models/%ff%fe", token), (404,))
    yield Attack("invalid UTF-8, encoded, in an id", lambda: get(b"/agent/status/%ff/%fe", token), (200, 422))
    yield Attack("invalid UTF-8 in a query", lambda: get(b"/agent/sessionids/a?limit=\xff", token), (400, 422))
    yield Attack(
        "invalid UTF-8, encoded, in a query", lambda: get(b"/agent/longterm/a?query=%ff%00", token), (200, 422)
    )
    yield Attack("a lone surrogate, encoded, in an id", lambda: get(b"/agent/status/%ed%a0%80/s", token), (200, 422))
    yield Attack("invalid UTF-8 in a token", lambda: get(b"/stats", b"authorization: Bearer \xff\xfe\r\n"), (401,))
    yield Attack(
        "a token in Latin-1", lambda: get(b"/stats", "x-api-key: gr\u00fc\u00df\r\n".encode("latin-1")), (401,)
    )
    yield Attack("Basic that is no base64", lambda: get(b"/stats", b"authorization: Basic \xff=\r\n"), (401,))
    yield Attack("half an escape", lambda: get(b"/v1/models/%", token), (400, 404))
    yield Attack("a header without a name", lambda: get(b"/health/live", b": x\r\n"), REFUSED)
    yield Attack("a header without a colon", lambda: get(b"/health/live", b"abc\r\n"), REFUSED)
    yield Attack("a space before a colon", lambda: get(b"/health/live", b"a : b\r\n"), REFUSED)
    yield Attack("a folded header", lambda: get(b"/health/live", b"a: b\r\n c\r\n"), (200, 400))
    yield Attack("lines that end with LF", lambda: [GET.replace(b"\r\n", b"\n") + b"\n"], (200, 400))
    yield Attack("lines that end with CR", lambda: [GET.replace(b"\r\n", b"\r") + b"\r\r"], (400, 408))
    yield Attack(
        "a number of 4,000 digits in a query", lambda: get(b"/agent/sessionids/a?limit=" + b"9" * 4000, token), (422,)
    )
    yield Attack(
        "a huge Last-Event-ID",
        lambda: get(b"/agent/task/x/events", token + b"last-event-id: " + b"9" * 4000 + b"\r\n"),
        (404, 422),
    )
    yield Attack("a huge x-request-id", lambda: get(b"/health/live", b"x-request-id: " + b"x" * 9000 + b"\r\n"), (200,))


def _other_protocols() -> Iterator[Attack]:
    yield Attack("TLS", lambda: [bytes.fromhex("16030100a5010000a10303") + bytes(200)], REFUSED)
    yield Attack("the preface of HTTP/2", lambda: [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"], REFUSED)
    yield Attack("HTTP/0.9", lambda: [b"GET /health/live\r\n"], (400, 408))
    yield Attack("HTTP/1.0", lambda: [b"GET /health/live HTTP/1.0\r\n\r\n"], (200,))
    yield Attack("HTTP/9.9", lambda: [b"GET /health/live HTTP/9.9\r\n\r\n"], REFUSED)
    yield Attack("a line of SMTP", lambda: [b"HELO there\r\n"], REFUSED)
    yield Attack("random bytes", lambda: [bytes(range(256)) * 64], REFUSED)
    yield Attack(
        "an upgrade to WebSocket",
        lambda: [
            GET.replace(b"connection: close", b"connection: upgrade")
            + b"upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        ],
        (404,),
    )
    yield Attack(
        "an upgrade to HTTP/2", lambda: [GET + b"upgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n\r\n"], (200, 400)
    )
    yield Attack("CONNECT", lambda: [b"CONNECT example.com:443 HTTP/1.1\r\n" + CLOSE + b"\r\n"], (400, 404, 405))
    yield Attack("OPTIONS *", lambda: [b"OPTIONS * HTTP/1.1\r\n" + CLOSE + b"\r\n"], (400, 404, 405))
    yield Attack("an unknown method", lambda: [b"BREW /health/live HTTP/1.1\r\n" + CLOSE + b"\r\n"], (400, 405))
    yield Attack(
        "an absolute address",
        lambda: [b"GET http://example.com/health/live HTTP/1.1\r\n" + CLOSE + b"\r\n"],
        (200, 400, 404),
    )
    yield Attack("an address that is none", lambda: [b"GET http://[::1 HTTP/1.1\r\n" + CLOSE + b"\r\n"], (400, 404))


def _ambiguous(token: bytes) -> Iterator[Attack]:
    """Requests that a proxy in front may read in another way: the second request in them must not be answered."""
    hidden = b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n"

    def post(framing: bytes, body: bytes) -> list[bytes]:
        head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        return [head + token + framing + b"\r\n" + body]

    chunked = b"0\r\n\r\n" + hidden
    yield Attack("CL and TE", lambda: post(b"content-length: 4\r\ntransfer-encoding: chunked\r\n", chunked), REFUSED)
    yield Attack("TE and CL", lambda: post(b"transfer-encoding: chunked\r\ncontent-length: 4\r\n", chunked), REFUSED)
    yield Attack("two lengths", lambda: post(b"content-length: 2\r\ncontent-length: 40\r\n", b"{}" + hidden), REFUSED)
    yield Attack("a list of lengths", lambda: post(b"content-length: 2, 40\r\n", b"{}" + hidden), REFUSED)
    yield Attack("a length with a sign", lambda: post(b"content-length: +2\r\n", b"{}"), REFUSED)
    yield Attack("a negative length", lambda: post(b"content-length: -2\r\n", b"{}"), REFUSED)
    yield Attack("a length in hexadecimal", lambda: post(b"content-length: 0x2\r\n", b"{}"), REFUSED)
    yield Attack("a length of 40 digits", lambda: post(b"content-length: " + b"9" * 40 + b"\r\n", b"{}"), REFUSED)
    yield Attack("an unknown transfer encoding", lambda: post(b"transfer-encoding: xchunked\r\n", chunked), REFUSED)
    yield Attack("chunked and identity", lambda: post(b"transfer-encoding: chunked, identity\r\n", chunked), REFUSED)
    yield Attack("a space after the name of TE", lambda: post(b"transfer-encoding : chunked\r\n", chunked), REFUSED)
    yield Attack("a folded TE", lambda: post(b"transfer-encoding:\r\n chunked\r\n", chunked), (400,))


def _many(token: bytes) -> Iterator[Attack]:
    keep = b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n"
    yield Attack("a thousand requests at once", lambda: [keep * 1000 + GET + b"\r\n"], (200,), within=60)
    yield Attack("a request, then garbage", lambda: [keep + b"\0\xff garbage\r\n\r\n"], (200, 400))
    yield Attack("a half-closed connection", lambda: [GET + b"\r\n"], (200, None), half_closes=True)
    yield Attack("a connection half-closed in a head", lambda: [b"GET /hea"], (None, 400), half_closes=True)
