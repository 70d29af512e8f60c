"""The caller: an ordinary streaming client of the real API, with a stop-watch and the strictest reading of the wire."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import httpx
import orjson

from tests.clients.check_stream import check_stream

QUESTION = {"role": "user", "content": "Is my table booked for tonight?"}


@dataclass(frozen=True, slots=True)
class Heard:
    """One answer as it reached the caller. `first` and `seconds` count from the request to the first token and to the
    end; `broken` says which rule of the wire the answer breaks.
    """

    status: int
    headers: Mapping[str, str]
    raw: bytes
    first: float | None
    seconds: float
    model: str | None = None
    text: str = ""
    calls: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    finish: str | None = None
    error: Mapping[str, Any] | None = None
    broken: str | None = None

    @property
    def code(self) -> str | None:
        """The error's code; None for a good answer."""
        return str(self.error["code"]) if self.error else None

    @property
    def head_was_early(self) -> bool:
        """The head went out with a keep-alive, before anybody could know who would serve."""
        return self.raw.startswith(b":")

    @property
    def attempts(self) -> int:
        """What the header says, as far as it was known when the head went out."""
        return int(self.headers.get("x-switchboard-attempts", 0))


@dataclass(frozen=True, slots=True)
class Caller:
    """Asks one server, and gives up after `patience` seconds."""

    http: httpx.AsyncClient
    patience: float

    async def ask(
        self, model: str, *, stream: bool = True, listening: asyncio.Event | None = None, **more: Any
    ) -> Heard:
        """One turn. `listening` is set when the first token is heard. To hang up, cancel.

        Raises TimeoutError when the answer does not end, httpx.TransportError when the connection breaks.
        """
        body = {"model": model, "messages": [QUESTION], "stream": stream} | more
        if stream:
            body |= {"stream_options": {"include_usage": True}}
        raw, first, began = bytearray(), None, perf_counter()
        async with asyncio.timeout(self.patience):
            async with self.http.stream("POST", "/v1/chat/completions", json=body) as response:
                async for data in response.aiter_bytes():
                    raw += data
                    if first is None and _has_token(raw):
                        first = perf_counter() - began
                        if listening is not None:
                            listening.set()
        seconds = perf_counter() - began
        return _read(response, bytes(raw), stream, first, seconds)


def _has_token(raw: bytearray) -> bool:
    for line in raw.split(b"\n\n")[:-1]:
        if line.startswith(b"data: {"):
            choices = orjson.loads(line[6:]).get("choices") or [{}]
            delta = choices[0].get("delta") or {}
            if delta.get("content") or delta.get("tool_calls"):
                return True
    return False


def _read(response: httpx.Response, raw: bytes, stream: bool, first: float | None, seconds: float) -> Heard:
    try:
        fields = _streamed(raw) if stream and response.status_code == 200 else _whole(raw)
    except (AssertionError, ValueError, KeyError, TypeError) as exc:
        fields = {"broken": str(exc) or type(exc).__name__}
    return Heard(response.status_code, response.headers, raw, first, seconds, **fields)


def _streamed(raw: bytes) -> dict[str, Any]:
    said = check_stream(raw, include_usage=True)
    return {
        "model": said.model,
        "text": said.text,
        "calls": said.tool_calls,
        "finish": said.finish_reason,
        "error": said.error,
    }


def _whole(raw: bytes) -> dict[str, Any]:
    answer = orjson.loads(raw)
    if "error" in answer:
        return {"error": answer["error"]}
    choice = answer["choices"][0]
    calls = choice["message"].get("tool_calls") or ()
    return {
        "model": answer["model"],
        "text": choice["message"]["content"] or "",
        "calls": tuple((each["function"]["name"], orjson.loads(each["function"]["arguments"])) for each in calls),
        "finish": choice["finish_reason"],
    }
