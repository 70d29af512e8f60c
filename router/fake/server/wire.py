"""The bytes of the fake provider's responses. They are cached, because it must be faster than what it benchmarks."""

from __future__ import annotations

import time
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import orjson

_ID = b"0" * 32
_REASONS = {
    200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 405: "Method Not Allowed",
    411: "Length Required", 413: "Content Too Large", 429: "Too Many Requests", 500: "Internal Server Error",
    503: "Service Unavailable",
}  # fmt: skip
STREAM_HEADERS = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)
LAST_CHUNK = b"0\r\n\r\n"


def with_id(answer: bytes, id: bytes) -> bytes:
    """A cached response with its own id of 32 characters, which keeps all lengths."""
    return answer.replace(_ID, id)


def http_chunk(data: bytes) -> bytes:
    """One chunk of a chunked body."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def event(data: bytes) -> bytes:
    """One server-sent event, as one HTTP chunk."""
    return http_chunk(b"data: " + data + b"\n\n")


DONE = event(b"[DONE]")


@lru_cache(maxsize=4096)
def text(model: str, piece: str) -> bytes:
    """The event for one piece of text."""
    return delta(model, {"content": piece})


@lru_cache(maxsize=256)
def texts(model: str, pieces: tuple[str, ...]) -> bytes:
    """The events for the role and all pieces of text."""
    return role(model) + b"".join(text(model, piece) for piece in pieces)


@lru_cache(maxsize=256)
def role(model: str) -> bytes:
    """The event with the role, which begins an answer."""
    return delta(model, {"role": "assistant", "content": ""})


@lru_cache(maxsize=256)
def finish(model: str, reason: str) -> bytes:
    """The event with the finish reason, which ends an answer."""
    return delta(model, {}, reason)


def usage(model: str, prompt: int, completion: int) -> bytes:
    """The event with the usage."""
    return _chunk(model, choices=[], usage=_usage(prompt, completion))


def delta(model: str, delta: dict[str, Any], reason: str | None = None) -> bytes:
    """The event for any delta."""
    return _chunk(model, choices=[{"index": 0, "delta": delta, "finish_reason": reason}])


def _chunk(model: str, **fields: Any) -> bytes:
    head = {
        "id": f"chatcmpl-{_ID.decode()}",
        "object": "chat.completion.chunk",
        "created": int(time.time()),
        "model": model,
    }
    return event(orjson.dumps({**head, **fields}))


def completion(model: str, message: dict[str, Any], reason: str, prompt: int, tokens: int) -> bytes:
    """The body of a response that is not streamed."""
    return orjson.dumps(
        {
            "id": f"chatcmpl-{_ID.decode()}",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": model,
            "choices": [{"index": 0, "message": {"role": "assistant", **message}, "finish_reason": reason}],
            "usage": _usage(prompt, tokens),
        }
    )


def response(
    status: int, body: bytes, kind: str = "application/json", headers: Iterable[tuple[str, str]] = ()
) -> bytes:
    """A complete HTTP response."""
    lines = [f"HTTP/1.1 {status} {_REASONS[status]}", f"content-type: {kind}", f"content-length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def error(message: str, kind: str, code: str | None = None, param: str | None = None, **more: Any) -> bytes:
    """The body of an error in OpenAI's format."""
    return orjson.dumps({"error": {"message": message, "type": kind, "param": param, "code": code, **more}})


def _usage(prompt: int, completion: int) -> dict[str, int]:
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
