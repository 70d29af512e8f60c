"""A streaming client of the chat completions API that times the answer and validates the wire format."""

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
class ReceivedAnswer:
    """One answer as the caller received it.

    first_token: seconds from the request to the first token; None without one.
    seconds: duration of the whole answer.
    violation: the rule of the wire format that the answer breaks; None if it breaks none.
    """

    status: int
    headers: Mapping[str, str]
    raw: bytes
    first_token: float | None
    seconds: float
    model: str | None = None
    text: str = ""
    tool_calls: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    finish_reason: str | None = None
    error: Mapping[str, Any] | None = None
    violation: str | None = None

    @property
    def error_code(self) -> str | None:
        return str(self.error["code"]) if self.error else None

    @property
    def headers_sent_early(self) -> bool:
        """Whether a keep-alive came first, so that the headers went out before the serving model was known."""
        return self.raw.startswith(b":")

    @property
    def attempts(self) -> int:
        """The attempts up to the sending of the headers."""
        return int(self.headers.get("x-switchboard-attempts", 0))


@dataclass(frozen=True, slots=True)
class Caller:
    """A client of one server. `timeout`: seconds that an answer may take."""

    http: httpx.AsyncClient
    timeout: float

    async def ask(
        self, model: str, *, stream: bool = True, first_token_received: asyncio.Event | None = None, **fields: Any
    ) -> ReceivedAnswer:
        """Send one turn with `fields` in its body, and read the answer. Cancel the call to hang up.

        Sets `first_token_received` as soon as the first token arrives. Raises TimeoutError if the answer does not end,
        and httpx.TransportError if the connection breaks.
        """
        body = {"model": model, "messages": [QUESTION], "stream": stream} | fields
        if stream:
            body |= {"stream_options": {"include_usage": True}}
        raw, first_token, start = bytearray(), None, perf_counter()
        async with asyncio.timeout(self.timeout):
            async with self.http.stream("POST", "/v1/chat/completions", json=body) as response:
                async for data in response.aiter_bytes():
                    raw += data
                    if first_token is None and _has_token(raw):
                        first_token = perf_counter() - start
                        if first_token_received is not None:
                            first_token_received.set()
        seconds = perf_counter() - start
        return _parse(response, bytes(raw), stream, first_token, seconds)


def _has_token(raw: bytearray) -> bool:
    for event in raw.split(b"\n\n")[:-1]:
        if event.startswith(b"data: {"):
            choices = orjson.loads(event[6:]).get("choices") or [{}]
            delta = choices[0].get("delta") or {}
            if delta.get("content") or delta.get("tool_calls"):
                return True
    return False


def _parse(
    response: httpx.Response, raw: bytes, stream: bool, first_token: float | None, seconds: float
) -> ReceivedAnswer:
    try:
        fields = _parse_stream(raw) if stream and response.status_code == 200 else _parse_completion(raw)
    except (AssertionError, ValueError, KeyError, TypeError) as exc:
        fields = {"violation": str(exc) or type(exc).__name__}
    return ReceivedAnswer(response.status_code, response.headers, raw, first_token, seconds, **fields)


def _parse_stream(raw: bytes) -> dict[str, Any]:
    checked = check_stream(raw, include_usage=True)
    return {
        "model": checked.model,
        "text": checked.text,
        "tool_calls": checked.tool_calls,
        "finish_reason": checked.finish_reason,
        "error": checked.error,
    }


def _parse_completion(raw: bytes) -> dict[str, Any]:
    answer = orjson.loads(raw)
    if "error" in answer:
        return {"error": answer["error"]}
    choice = answer["choices"][0]
    calls = choice["message"].get("tool_calls") or ()
    return {
        "model": answer["model"],
        "text": choice["message"]["content"] or "",
        "tool_calls": tuple((each["function"]["name"], orjson.loads(each["function"]["arguments"])) for each in calls),
        "finish_reason": choice["finish_reason"],
    }
