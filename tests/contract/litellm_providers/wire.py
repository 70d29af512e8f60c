"""How a provider is described here, and how its answers reach the lane."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import httpx
import orjson

from config.errors import SwitchboardError
from config.models.deployments import Deployment
from router.lanes.base import Chunk, Lane, LaneRequest
from router.stream.answer_collector import AnswerCollector

KEY = "sk-abcdefghijklmnopqrstuvwxyz012345"
PROVIDERS_WORDS = "words of the provider"
"""Stand in most refusals. They may be logged, but no message may hold them."""

WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
}
TOOLS = [
    {"type": "function", "function": {"name": "weather", "description": "The weather.", "parameters": WEATHER}},
]


def call(id: str, name: str, arguments: str) -> dict[str, Any]:
    """A tool call in OpenAI's form."""
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


MESSAGES: list[dict[str, Any]] = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Rain in Oslo?"},
    {"role": "assistant", "tool_calls": [call("call_1", "weather", '{"city":"Oslo"}')]},
    {"role": "tool", "tool_call_id": "call_1", "content": "Rain."},
]
PARAMS = {"tools": TOOLS, "tool_choice": "auto", "temperature": 0.2, "max_tokens": 50, "stop": ["END"]}


@dataclass(frozen=True)
class Refusal:
    """An HTTP error as the provider documents it, and what it means."""

    name: str
    status: int
    body: Mapping[str, Any]
    means: type[SwitchboardError]
    headers: Mapping[str, str] = field(default_factory=dict)
    retry_after: float | None = None


@dataclass(frozen=True)
class Stream:
    """A provider's streamed answers: `start`, any number of `text(words)`, then `end(finish)`.

    Their usage is 11 tokens in and 4 out. `finishes` pairs the provider's finish reasons with OpenAI's, the ordinary
    one first. `calls` calls weather(city="Oslo") and then clock() without arguments, `thoughts` thinks "Hm." and says
    "Yes.", `empty` says nothing, and `withheld` is what is left of an answer that a content filter took. `faults` are
    errors inside a stream and what they mean.
    """

    content_type: str
    start: Sequence[bytes]
    text: Callable[[str], bytes]
    end: Callable[[str], Sequence[bytes]]
    finishes: Mapping[str, str]
    calls: Sequence[bytes]
    empty: Sequence[bytes]
    withheld: Sequence[bytes] = ()
    thoughts: Sequence[bytes] = ()
    faults: Mapping[str, tuple[bytes, type[SwitchboardError]]] = field(default_factory=dict)

    @property
    def finish(self) -> str:
        """The reason with which an ordinary answer ends."""
        return next(iter(self.finishes))

    def said(self, *words: str, finish: str | None = None) -> list[bytes]:
        return [*self.start, *map(self.text, words), *self.end(finish or self.finish)]

    def answer(self, parts: Sequence[bytes], **how: Any) -> httpx.Response:
        return httpx.Response(200, headers={"content-type": self.content_type}, stream=Body(parts, **how))


@dataclass(frozen=True)
class Whole:
    """The answers of a deployment that LiteLLM does not ask for a stream, by the same names as in `Stream`."""

    deployment: Deployment
    url: str
    text: Callable[[str, str], Mapping[str, Any]]
    finishes: Mapping[str, str]
    calls: Mapping[str, Any] | None
    empty: Mapping[str, Any]


@dataclass(frozen=True)
class Wire:
    """One provider's API. `request` is the body that MESSAGES and PARAMS become, `key` patterns of headers."""

    name: str
    deployment: Deployment
    url: str
    key: Mapping[str, str]
    request: Mapping[str, Any]
    refusals: Sequence[Refusal]
    stream: Stream | None = None
    whole: Whole | None = None

    def answer(self) -> httpx.Response:
        """An ordinary answer."""
        if self.stream is not None:
            return self.stream.answer(self.stream.said("Hello ", "there."))
        assert self.whole is not None
        return httpx.Response(200, json=self.whole.text("Hello there.", next(iter(self.whole.finishes))))


class Body(httpx.AsyncByteStream):
    """A response's body in these parts, after which the connection ends, breaks or stalls. `closed`: nobody reads it.

    As with httpcore and aiohttp, whoever drops the iterator closes the connection too.
    """

    def __init__(self, parts: Sequence[bytes], *, breaks: Exception | None = None, stalls: bool = False) -> None:
        self._parts = parts
        self._breaks = breaks
        self._stalls = stalls
        self.closed = asyncio.Event()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            for part in self._parts:
                yield part
            if self._breaks is not None:
                raise self._breaks
            if self._stalls:
                await asyncio.Event().wait()
        finally:
            self.closed.set()

    async def aclose(self) -> None:
        self.closed.set()


def sse(event: Mapping[str, Any], name: str | None = None) -> bytes:
    """One server-sent event."""
    head = f"event: {name}\n".encode() if name else b""
    return head + b"data: " + orjson.dumps(event) + b"\n\n"


def asked(lane: Lane, deployment: Deployment, timeout: float = 30.0, **params: Any) -> AsyncGenerator[Chunk, None]:
    """The chunks of one answer to MESSAGES."""
    return lane.stream(LaneRequest(deployment, MESSAGES, params, timeout))


async def heard(lane: Lane, deployment: Deployment, into: list[Chunk] | None = None) -> list[Chunk]:
    """All chunks of one answer; `into` has those that came before an error."""
    chunks = [] if into is None else into
    async with aclosing(asked(lane, deployment)) as stream:
        async for chunk in stream:
            chunks.append(chunk)
    return chunks


def judged(chunks: Sequence[Chunk]) -> list[Chunk]:
    """What the router adds to the text of an answer. Raises what it says of one that is none."""
    answer = AnswerCollector()
    for chunk in chunks:
        answer.take(chunk)
    return answer.final_chunks()


def joined(chunks: Sequence[Chunk], name: str = "content") -> str:
    return "".join(chunk["choices"][0]["delta"].get(name) or "" for chunk in chunks if chunk["choices"])


def reasons(chunks: Sequence[Chunk]) -> list[str]:
    found = (chunk["choices"][0]["finish_reason"] for chunk in chunks if chunk["choices"])
    return [reason for reason in found if reason]


def fragments(chunks: Sequence[Chunk]) -> list[dict[str, Any]]:
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks if chunk["choices"]]
    return [fragment for delta in deltas for fragment in delta.get("tool_calls") or []]


def calls(chunks: Sequence[Chunk]) -> list[tuple[str, Any]]:
    """The whole tool calls that the router makes of an answer: names and arguments."""
    whole = [call["function"] for call in fragments(judged(chunks))]
    return [(function["name"], orjson.loads(function["arguments"])) for function in whole]


def usage(chunks: Sequence[Chunk]) -> tuple[int, int]:
    """Tokens in and out, as the last chunk tells them."""
    last = chunks[-1]
    assert last["choices"] == []
    return last["usage"]["prompt_tokens"], last["usage"]["completion_tokens"]
