"""One measured turn: the bytes that came and when, read into what the caller heard."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import orjson

Segments = list[tuple[float, bytes]]
"""What the socket gave, piece by piece, with the time of each in seconds."""


class BrokenAnswer(Exception):
    """The answer is not the one that the provider gave. A benchmark that counts such turns is worthless."""


@dataclass(frozen=True, slots=True)
class Turn:
    """Times in seconds. `gaps` lie between neighbouring text chunks; `chunks` is how many of them carried text."""

    begun: float
    ended: float
    first: float
    gaps: tuple[float, ...]
    chunks: int


def streamed_turn(begun: float, segments: Segments, expected: str) -> Turn:
    """Read a streamed answer. Raises BrokenAnswer unless it says `expected` and ends with one "stop" and [DONE]."""
    text, moments, reasons, done = [], [], [], False
    for moment, data in _events(segments):
        if data == b"[DONE]":
            done = True
            continue
        chunk = orjson.loads(data)
        if "error" in chunk:
            raise BrokenAnswer(f"an error inside the answer: {data[:300]!r}")
        for choice in chunk["choices"]:
            if choice["delta"].get("content"):
                text.append(choice["delta"]["content"])
                moments.append(moment)
            if choice.get("finish_reason"):
                reasons.append(choice["finish_reason"])
    _check("".join(text), expected)
    if reasons != ["stop"] or not done:
        raise BrokenAnswer(f"the answer ended with {reasons}, [DONE] {'came' if done else 'is missing'}")
    gaps = tuple(later - earlier for earlier, later in pairwise(moments))
    return Turn(begun, segments[-1][0], moments[0] - begun, gaps, len(moments))


def whole_turn(begun: float, segments: Segments, expected: str) -> Turn:
    """Read an answer that was not streamed. Raises BrokenAnswer."""
    _, body = _response(b"".join(data for _, data in segments))
    (choice,) = orjson.loads(body)["choices"]
    _check(choice["message"]["content"], expected)
    if choice["finish_reason"] != "stop":
        raise BrokenAnswer(f"the answer ended with {choice['finish_reason']!r}")
    ended = segments[-1][0]
    return Turn(begun, ended, ended - begun, (), 1)


def is_whole(received: bytes) -> bool:
    """Whether an HTTP response has come to its end."""
    head, separator, body = received.partition(b"\r\n\r\n")
    if not separator:
        return False
    fields = head.lower().split(b"\r\n")
    if b"transfer-encoding: chunked" in fields:
        return body == b"0\r\n\r\n" or body.endswith(b"\r\n0\r\n\r\n")
    length = next((field for field in fields if field.startswith(b"content-length:")), b":0")
    return len(body) >= int(length.partition(b":")[2])


def _check(said: str, expected: str) -> None:
    if said != expected:
        raise BrokenAnswer(f"the answer is {said[:200]!r}, the provider said {expected[:200]!r}")


def _response(raw: bytes) -> tuple[int, bytes]:
    """Where the body begins, and the body itself without its chunk framing."""
    end = raw.index(b"\r\n\r\n") + 4
    status = raw[:end].split(b" ", 2)[1]
    chunked = b"transfer-encoding: chunked" in raw[:end].lower()
    body = b"".join(data for _, data in _chunks(raw, end)) if chunked else raw[end:]
    if status != b"200":
        raise BrokenAnswer(f"HTTP {status.decode()}: {body[:300]!r}")
    return end, body


def _events(segments: Segments) -> Iterator[tuple[float, bytes]]:
    """The data of each server-sent event, with the time at which its last byte came."""
    raw = b"".join(data for _, data in segments)
    start, _ = _response(raw)
    arrivals = iter(segments)
    moment, data = next(arrivals)
    received, pending = len(data), b""
    for end, piece in _chunks(raw, start):
        while received < end:
            moment, data = next(arrivals)
            received += len(data)
        *lines, pending = (pending + piece).split(b"\n")
        for line in lines:
            if line.startswith(b"data:"):
                yield moment, line[5:].strip()


def _chunks(raw: bytes, at: int) -> Iterator[tuple[int, bytes]]:
    """The chunks of a chunked body, with the place at which each ends."""
    while True:
        size_end = raw.index(b"\r\n", at)
        size = int(raw[at:size_end].partition(b";")[0], 16)
        if size == 0:
            return
        at = size_end + 2 + size + 2
        yield at, raw[size_end + 2 : at - 2]
