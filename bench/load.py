"""Callers that talk to one server at once, and what they heard."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from time import perf_counter

import orjson

from bench.line import Line
from bench.turns import BrokenAnswer, Segments, Turn, streamed_turn, whole_turn
from router.fake.sample_text import sample_pieces
from router.fake.timing import split_timing


@dataclass(frozen=True, slots=True)
class Target:
    """A server under load. `models` says under which name it serves each of the provider's models."""

    name: str
    host: str
    port: int
    token: str
    models: Mapping[str, str]

    def request(self, provider_model: str, *, stream: bool) -> bytes:
        """The bytes of one turn, the same for every server."""
        body = orjson.dumps(
            {
                "model": self.models[provider_model],
                "stream": stream,
                "messages": [
                    {"role": "system", "content": "You answer the phone of a restaurant."},
                    {"role": "user", "content": "Is my table booked for tonight?"},
                ],
            }
        )
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: {self.host}:{self.port}\r\n"
            f"authorization: Bearer {self.token}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


@dataclass(slots=True)
class Taken:
    """What came back, not yet read: reading it while others still talk would take time from the core of the load."""

    begun: float = field(default_factory=perf_counter)
    answers: list[tuple[float, Segments]] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Heard:
    """All whole turns of one load, and what was wrong with each of the others. `begun` is in seconds, by the clock.

    `cpu` is the CPU time of the server, in seconds, and `busy` how much of their cores the provider and the load took
    (1 is all); both are 0 where the system does not tell.
    """

    turns: list[Turn] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    begun: float = field(default_factory=perf_counter)
    cpu: float = 0.0
    busy: float = 0.0

    @property
    def rate(self) -> float:
        """Whole turns a second, from the first request to the last answer: no turn is counted in part."""
        return len(self.turns) / (max(turn.ended for turn in self.turns) - self.begun) if self.turns else 0.0

    @property
    def cpu_per_turn(self) -> float:
        """Seconds of the server's CPU time for each whole turn."""
        return self.cpu / len(self.turns) if self.turns else 0.0


@dataclass(frozen=True, slots=True)
class Load:
    """`callers` at once, each one turn after the other.

    Either for `seconds`, and then to the end of the turn that each is in, or for `turns` each. `spread` is the time
    over which the callers begin, so that paced answers do not all tick at the same instant.
    """

    model: str
    callers: int
    stream: bool = True
    seconds: float | None = None
    turns: int = 1
    spread: float = 0.0

    async def run(self, target: Target) -> Heard:
        """Put the load on one server and read what it said."""
        return self.read(await self.take(target))

    async def take(self, target: Target) -> Taken:
        """Put the load on one server. Never raises for a broken answer: it is noted."""
        taken = Taken()
        until = taken.begun + self.seconds if self.seconds is not None else None
        async with asyncio.TaskGroup() as group:
            for number in range(self.callers):
                group.create_task(self._call(target, taken, self.spread * number / self.callers, until))
        return taken

    def read(self, taken: Taken) -> Heard:
        """Check every answer, to the letter."""
        heard = Heard(broken=list(taken.broken), begun=taken.begun)
        expected = "".join(sample_pieces(split_timing(self.model)[1].tokens))
        read = streamed_turn if self.stream else whole_turn
        for begun, segments in taken.answers:
            try:
                heard.turns.append(read(begun, segments, expected))
            except (BrokenAnswer, ValueError, KeyError, IndexError) as exc:
                heard.broken.append(f"{type(exc).__name__}: {exc}")
        return heard

    async def _call(self, target: Target, taken: Taken, delay: float, until: float | None) -> None:
        await asyncio.sleep(delay)
        line = Line(target.host, target.port)
        request = target.request(self.model, stream=self.stream)
        made = 0
        try:
            while perf_counter() < until if until is not None else made < self.turns:
                made += 1
                try:
                    taken.answers.append(await line.exchange(request))
                except BrokenAnswer as exc:
                    taken.broken.append(f"{type(exc).__name__}: {exc}")
                    await asyncio.sleep(0.05)
        finally:
            line.close()
