"""One request for an answer, and the ways to answer it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from router.fake.sample_text import WORDS, WORDS_BEFORE_CUT, count_pieces, sample_pieces
from router.fake.server import wire
from router.fake.server.line import Line
from router.fake.server.recorded_requests import RecordedRequest
from router.fake.timing import ResponseTiming, TokenTimer


@dataclass(slots=True)
class Ask:
    """A request, read. `count` is how often its model was asked since the last reset, `age` for how many seconds."""

    line: Line
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
        """The words that the caller put into the assistant's mouth; empty when it did not."""
        content = self.last.get("content")
        return content if self.last.get("role") == "assistant" and isinstance(content, str) else ""

    def pieces(self) -> tuple[str, ...]:
        """The sample text in its pieces, or what is left of it behind a prefill that began it."""
        pieces = sample_pieces(self.timing.tokens)
        return _behind(pieces, self.prefill) if self.prefill else pieces

    # Whole answers

    def refuse(self, status: int, error: bytes, **headers: str) -> None:
        """Answer with an HTTP error."""
        named = [(name.replace("_", "-"), value) for name, value in headers.items()]
        self.respond(status, error, headers=named)

    def respond(
        self, status: int, body: bytes, kind: str = "application/json", headers: Sequence[tuple[str, str]] = ()
    ) -> None:
        """Answer with a whole HTTP response."""
        self.record.status = status
        self.line.write(wire.response(status, wire.with_id(body, self._id), kind, headers))

    async def answer(self, pieces: tuple[str, ...]) -> None:
        """The pieces as a whole answer, at the model's timing, up to `max_tokens`."""
        limit = self.body.get("max_completion_tokens") or self.body.get("max_tokens")
        reason = "length" if limit and len(pieces) > limit else "stop"
        pieces = pieces[:limit] if limit else pieces
        if not self.record.stream:
            self.respond(200, await self.completion({"content": "".join(pieces)}, reason, len(pieces)))
            return
        await self.speak(pieces)
        self.finish(reason, len(pieces))

    def respond_in_part(self, body: bytes) -> None:
        """The beginning of an answer that is not streamed, as much of it as is said before a cut."""
        self.record.status = 200
        response = wire.response(200, wire.with_id(body, self._id))
        self.line.write(response[: len(response) * WORDS_BEFORE_CUT // WORDS])

    async def completion(self, message: dict[str, Any], reason: str, spoken: int) -> bytes:
        """The body of an answer that is not streamed, when all its tokens would have come."""
        wait = self.timing.first + self.timing.gap * max(0, spoken - 1)
        if wait:
            await asyncio.sleep(wait)
        return wire.completion(self.model, message, reason, self._prompt(), spoken)

    # Streams

    async def speak(self, pieces: tuple[str, ...]) -> None:
        """Begin the stream and say the pieces at the model's timing; without a timing they wait for `flush`."""
        self.begin()
        if self.timing.immediate:
            self.send(wire.texts(self.model, pieces))
            return
        timer = TokenTimer(self.timing)
        for at, piece in enumerate(pieces):
            self.flush()
            await timer.wait_for_token()
            self.send(wire.text(self.model, piece) if at else wire.texts(self.model, (piece,)))

    def begin(self) -> None:
        """The head of a stream."""
        self.record.status = 200
        self.send(wire.STREAM_HEAD)

    def send(self, data: bytes) -> None:
        """Bytes for the next `flush`: what is sent in one go reaches the socket in one write."""
        self._pending += data

    def flush(self) -> None:
        """Write what is pending."""
        self.line.write(wire.with_id(self._pending, self._id))
        self._pending = b""

    def finish(self, reason: str, spoken: int, *, done: bool = True) -> None:
        """The end of a stream: finish reason, usage where it was asked for, `[DONE]`."""
        self.send(wire.finish(self.model, reason))
        options = self.body.get("stream_options")
        if isinstance(options, dict) and options.get("include_usage"):
            self.send(wire.usage(self.model, self._prompt(), spoken))
        self.send((wire.DONE if done else b"") + wire.LAST_CHUNK)
        self.flush()

    def _prompt(self) -> int:
        contents = (each.get("content") for each in self.body["messages"] if isinstance(each, dict))
        return sum(count_pieces(content) for content in contents if isinstance(content, str))


def _behind(pieces: tuple[str, ...], spoken: str) -> tuple[str, ...]:
    if not "".join(pieces).startswith(spoken):
        return pieces
    left, rest = len(spoken), []
    for piece in pieces:
        if len(piece) > left:
            rest.append(piece[left:])
        left = max(0, left - len(piece))
    return tuple(rest)
