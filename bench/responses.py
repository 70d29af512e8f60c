"""Parses the received bytes of one turn, checks the answer, and takes its times."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import orjson

Segments = list[tuple[float, bytes]]
"""Received data in the order of arrival, with the arrival time of each segment in seconds."""


class BrokenAnswer(Exception):
    """The answer differs from the provider's, or is incomplete. Such a turn must not count."""


@dataclass(frozen=True, slots=True)
class TurnTiming:
    """Times of one turn in seconds.

    first_token: time from the request to the first text.
    gaps: times between consecutive text chunks.
    chunks: number of chunks with text.
    """

    start: float
    end: float
    first_token: float
    gaps: tuple[float, ...]
    chunks: int


def parse_stream(start: float, segments: Segments, expected: str) -> TurnTiming:
    """Parse a streamed answer. Raises BrokenAnswer unless it has the `expected` text, one "stop" and [DONE]."""
    text, arrivals, reasons, done = [], [], [], False
    for arrival, data in _events(segments):
        if data == b"[DONE]":
            done = True
            continue
        chunk = orjson.loads(data)
        if "error" in chunk:
            raise BrokenAnswer(f"an error inside the answer: {data[:300]!r}")
        for choice in chunk["choices"]:
            if choice["delta"].get("content"):
                text.append(choice["delta"]["content"])
                arrivals.append(arrival)
            if choice.get("finish_reason"):
                reasons.append(choice["finish_reason"])
    _check_text("".join(text), expected)
    if reasons != ["stop"] or not done:
        raise BrokenAnswer(f"the finish reasons are {reasons}, [DONE] {'is present' if done else 'is missing'}")
    gaps = tuple(later - earlier for earlier, later in pairwise(arrivals))
    return TurnTiming(start, segments[-1][0], arrivals[0] - start, gaps, len(arrivals))


def parse_completion(start: float, segments: Segments, expected: str) -> TurnTiming:
    """Parse an answer that is not streamed. Raises BrokenAnswer."""
    _, body = _response(b"".join(data for _, data in segments))
    (choice,) = orjson.loads(body)["choices"]
    _check_text(choice["message"]["content"], expected)
    if choice["finish_reason"] != "stop":
        raise BrokenAnswer(f"the finish reason is {choice['finish_reason']!r}")
    end = segments[-1][0]
    return TurnTiming(start, end, end - start, (), 1)


def is_complete(received: bytes) -> bool:
    """Whether the HTTP response is complete."""
    head, separator, body = received.partition(b"\r\n\r\n")
    if not separator:
        return False
    fields = head.lower().split(b"\r\n")
    if b"transfer-encoding: chunked" in fields:
        return body == b"0\r\n\r\n" or body.endswith(b"\r\n0\r\n\r\n")
    length = next((field for field in fields if field.startswith(b"content-length:")), b":0")
    return len(body) >= int(length.partition(b":")[2])


def _check_text(text: str, expected: str) -> None:
    if text != expected:
        raise BrokenAnswer(f"the answer is {text[:200]!r}, the provider sent {expected[:200]!r}")


def _response(raw: bytes) -> tuple[int, bytes]:
    """Return the offset of the body, and the body without chunk framing. Raises BrokenAnswer on any status but 200."""
    end = raw.index(b"\r\n\r\n") + 4
    status = raw[:end].split(b" ", 2)[1]
    chunked = b"transfer-encoding: chunked" in raw[:end].lower()
    body = b"".join(data for _, data in _chunks(raw, end)) if chunked else raw[end:]
    if status != b"200":
        raise BrokenAnswer(f"HTTP {status.decode()}: {body[:300]!r}")
    return end, body


def _events(segments: Segments) -> Iterator[tuple[float, bytes]]:
    """The data of each server-sent event, with the arrival time of its last byte."""
    raw = b"".join(data for _, data in segments)
    offset, _ = _response(raw)
    arrivals = iter(segments)
    arrival, data = next(arrivals)
    received, pending = len(data), b""
    for end, piece in _chunks(raw, offset):
        while received < end:
            arrival, data = next(arrivals)
            received += len(data)
        *lines, pending = (pending + piece).split(b"\n")
        for line in lines:
            if line.startswith(b"data:"):
                yield arrival, line[5:].strip()


def _chunks(raw: bytes, offset: int) -> Iterator[tuple[int, bytes]]:
    """The chunks of a chunked body, each with the offset of its end."""
    while True:
        size_end = raw.index(b"\r\n", offset)
        size = int(raw[offset:size_end].partition(b";")[0], 16)
        if size == 0:
            return
        offset = size_end + 2 + size + 2
        yield offset, raw[size_end + 2 : offset - 2]
