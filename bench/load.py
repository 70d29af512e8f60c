"""The load generator: concurrent callers on one server."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from time import perf_counter

import orjson

from bench.connection import Connection
from bench.responses import BrokenAnswer, Segments, TurnTiming, parse_completion, parse_stream
from router.fake.sample_text import sample_pieces
from router.fake.timing import split_timing


@dataclass(frozen=True, slots=True)
class Target:
    """The server under load. `models` maps the provider's model names to those of the server."""

    name: str
    host: str
    port: int
    token: str
    models: Mapping[str, str]

    def request(self, provider_model: str, *, stream: bool) -> bytes:
        """Return the HTTP request of one turn; only address, model and token differ between servers."""
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
class RawResponses:
    """Unparsed responses with the start time of each, and the errors of failed requests."""

    start: float = field(default_factory=perf_counter)
    answers: list[tuple[float, Segments]] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)


@dataclass(slots=True)
class LoadResult:
    """The whole turns of one load and the errors of the broken ones.

    start: `time.perf_counter()` at the first request.
    server_cpu: CPU time of the server in seconds; 0 where the system does not report it.
    load_utilization: CPU utilization (1 is all) of the cores of the provider and the load generator; 0 likewise.
    """

    turns: list[TurnTiming] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    start: float = field(default_factory=perf_counter)
    server_cpu: float = 0.0
    load_utilization: float = 0.0

    @property
    def rate(self) -> float:
        """Whole turns per second, from the first request to the end of the last answer."""
        return len(self.turns) / (max(turn.end for turn in self.turns) - self.start) if self.turns else 0.0

    @property
    def cpu_per_turn(self) -> float:
        """Seconds of the server's CPU time per whole turn."""
        return self.server_cpu / len(self.turns) if self.turns else 0.0

    @property
    def first_tokens(self) -> list[float]:
        """Times to first token, in seconds."""
        return [turn.first_token for turn in self.turns]

    @property
    def gaps(self) -> list[float]:
        """Gaps between the tokens of all turns, in seconds."""
        return [gap for turn in self.turns for gap in turn.gaps]


@dataclass(frozen=True, slots=True)
class Load:
    """A closed-loop load: each of `callers` starts its next turn when its last one ends.

    Runs for `seconds` (turns in progress are finished), or else for `turns` per caller. The callers start over
    `ramp_up` seconds, so that paced answers do not tick in step.
    """

    model: str
    callers: int
    stream: bool = True
    seconds: float | None = None
    turns: int = 1
    ramp_up: float = 0.0

    async def run(self, target: Target) -> LoadResult:
        """Send the load to `target` and parse the responses."""
        return self.parse(await self.send(target))

    async def send(self, target: Target) -> RawResponses:
        """Send the load to `target`. Failed requests are recorded, not raised."""
        responses = RawResponses()
        deadline = responses.start + self.seconds if self.seconds is not None else None
        async with asyncio.TaskGroup() as group:
            for number in range(self.callers):
                group.create_task(self._call(target, responses, self.ramp_up * number / self.callers, deadline))
        return responses

    def parse(self, responses: RawResponses) -> LoadResult:
        """Parse the responses and compare each text with the provider's."""
        result = LoadResult(broken=list(responses.broken), start=responses.start)
        expected = "".join(sample_pieces(split_timing(self.model)[1].tokens))
        parse = parse_stream if self.stream else parse_completion
        for start, segments in responses.answers:
            try:
                result.turns.append(parse(start, segments, expected))
            except (BrokenAnswer, ValueError, KeyError, IndexError) as exc:
                result.broken.append(f"{type(exc).__name__}: {exc}")
        return result

    async def _call(self, target: Target, responses: RawResponses, delay: float, deadline: float | None) -> None:
        await asyncio.sleep(delay)
        connection = Connection(target.host, target.port)
        request = target.request(self.model, stream=self.stream)
        sent = 0
        try:
            while perf_counter() < deadline if deadline is not None else sent < self.turns:
                sent += 1
                try:
                    responses.answers.append(await connection.send(request))
                except BrokenAnswer as exc:
                    responses.broken.append(f"{type(exc).__name__}: {exc}")
                    await asyncio.sleep(0.05)
        finally:
            connection.close()
