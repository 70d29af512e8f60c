"""One chat completion request to the fake provider, and the ways to answer it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from router.fake.sample_text import WORDS, WORDS_BEFORE_CUT, count_pieces, sample_pieces
from router.fake.server import wire
from router.fake.server.connection import Connection
from router.fake.server.recorded_requests import RecordedRequest
from router.fake.timing import ResponseTiming, TokenTimer


@dataclass(slots=True)
class CompletionRequest:
    """A parsed request. `count` is the number of requests for its model since the last reset, this one included; `age`
    is the time in seconds since the first of them.
    """

    connection: Connection
    record: RecordedRequest
    timing: ResponseTiming
    count: int
    age: float
    _pending: bytes = b""
    _id: bytes = field(default_factory=lambda: uuid4().hex.encode())

    @property
    def body(self) -> dict[str, Any]:
        return self.record.body

    @property
    def model(self) -> str:
        return self.record.model

    @property
    def last(self) -> dict[str, Any]:
        """The last message."""
        message = self.body["messages"][-1]
        return message if isinstance(message, dict) else {}

    @property
    def prefill(self) -> str:
        """The content of a last message by the assistant; empty if there is none."""
        content = self.last.get("content")
        return content if self.last.get("role") == "assistant" and isinstance(content, str) else ""

    def pieces(self) -> tuple[str, ...]:
        """The pieces of the sample text, without a prefill that it starts with."""
        pieces = sample_pieces(self.timing.tokens)
        return _without_prefix(pieces, self.prefill) if self.prefill else pieces

    # Complete responses

    def respond_error(self, status: int, error: bytes, **headers: str) -> None:
        """Answer with an HTTP error."""
        named = [(name.replace("_", "-"), value) for name, value in headers.items()]
        self.respond(status, error, headers=named)

    def respond(
        self, status: int, body: bytes, kind: str = "application/json", headers: Sequence[tuple[str, str]] = ()
    ) -> None:
        """Answer with a complete HTTP response."""
        self.record.status = status
        self.connection.write(wire.response(status, wire.with_id(body, self._id), kind, headers))

    async def answer(self, pieces: tuple[str, ...]) -> None:
        """Answer with the pieces, at the model's timing, up to `max_tokens`."""
        limit = self.body.get("max_completion_tokens") or self.body.get("max_tokens")
        reason = "length" if limit and len(pieces) > limit else "stop"
        pieces = pieces[:limit] if limit else pieces
        if not self.record.stream:
            self.respond(200, await self.completion({"content": "".join(pieces)}, reason, len(pieces)))
            return
        await self.send_text(pieces)
        self.finish_stream(reason, len(pieces))

    def respond_partially(self, body: bytes) -> None:
        """Send 25/60 of a response that is not streamed, as `fake-cut` does with a stream."""
        self.record.status = 200
        response = wire.response(200, wire.with_id(body, self._id))
        self.connection.write(response[: len(response) * WORDS_BEFORE_CUT // WORDS])

    async def completion(self, message: dict[str, Any], reason: str, tokens: int) -> bytes:
        """The body of a response that is not streamed, after the time that its tokens take."""
        wait = self.timing.first + self.timing.gap * max(0, tokens - 1)
        if wait:
            await asyncio.sleep(wait)
        return wire.completion(self.model, message, reason, self._prompt_tokens(), tokens)

    # Streams

    async def send_text(self, pieces: tuple[str, ...]) -> None:
        """Begin the stream and send the pieces at the model's timing. Without a timing they are sent with `flush`."""
        self.begin_stream()
        if self.timing.immediate:
            self.send(wire.texts(self.model, pieces))
            return
        timer = TokenTimer(self.timing)
        for at, piece in enumerate(pieces):
            self.flush()
            await timer.wait_for_token()
            self.send(wire.text(self.model, piece) if at else wire.texts(self.model, (piece,)))

    def begin_stream(self) -> None:
        """Send the response headers of a stream."""
        self.record.status = 200
        self.send(wire.STREAM_HEADERS)

    def send(self, data: bytes) -> None:
        """Buffer bytes until the next `flush`, which writes them to the socket in one call."""
        self._pending += data

    def flush(self) -> None:
        """Write the buffered bytes."""
        self.connection.write(wire.with_id(self._pending, self._id))
        self._pending = b""

    def finish_stream(self, reason: str, tokens: int, *, done: bool = True) -> None:
        """End the stream: finish reason, usage if requested, `[DONE]`."""
        self.send(wire.finish(self.model, reason))
        options = self.body.get("stream_options")
        if isinstance(options, dict) and options.get("include_usage"):
            self.send(wire.usage(self.model, self._prompt_tokens(), tokens))
        self.send((wire.DONE if done else b"") + wire.LAST_CHUNK)
        self.flush()

    def _prompt_tokens(self) -> int:
        contents = (each.get("content") for each in self.body["messages"] if isinstance(each, dict))
        return sum(count_pieces(content) for content in contents if isinstance(content, str))


def _without_prefix(pieces: tuple[str, ...], prefix: str) -> tuple[str, ...]:
    if not "".join(pieces).startswith(prefix):
        return pieces
    left, rest = len(prefix), []
    for piece in pieces:
        if len(piece) > left:
            rest.append(piece[left:])
        left = max(0, left - len(piece))
    return tuple(rest)
