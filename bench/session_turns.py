"""Turns on stored conversations: CPU time of the server, time to first token, turns per second."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from statistics import median
from time import perf_counter

import httpx
import orjson

from bench.connection import Connection
from bench.load import Target
from bench.loads import UNPACED
from bench.responses import BrokenAnswer, Segments
from bench.servers import RunningServer
from router.fake.sample_text import sample_pieces
from router.fake.timing import split_timing

TURNS_PER_SESSION = 10
WARM_UP = 30
ALONE = 50
"""Turns of one caller, from which the time to first token is taken."""
CALLERS = 8
QUERY = "Is my table booked for tonight?"

OpenSession = Callable[[], Awaitable[bytes]]
"""Opens a session; returns the request of a turn on it."""


@dataclass(slots=True)
class SessionFigures:
    """`cpu` and `first_token` are in seconds; `cpu` is that of the server's process, without its database."""

    name: str
    cpu: float = 0.0
    first_token: float = 0.0
    rate: float = 0.0
    broken: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        broken = f", {len(self.broken)} broken: {self.broken[0][:200]}" if self.broken else ""
        return (
            f"{self.name:32} {1000 * self.cpu:6.1f} ms CPU per turn {1000 * self.first_token:6.1f} ms first token"
            f" {self.rate:6.0f} turns/s with {CALLERS} callers{broken}"
        )


async def measure_turns(name: str, server: RunningServer, open_session: OpenSession, seconds: float) -> SessionFigures:
    """Warm up, then one caller, then `CALLERS` callers for `seconds`."""
    figures = SessionFigures(name)
    await _call(server.target, open_session, figures, turns=WARM_UP)
    times = await _call(server.target, open_session, figures, turns=ALONE)
    figures.first_token = median(times) if times else 0.0
    start, cpu = perf_counter(), server.process.cpu()
    deadline = start + seconds
    done = await asyncio.gather(
        *(_call(server.target, open_session, figures, deadline=deadline) for _ in range(CALLERS))
    )
    turns = sum(map(len, done))
    figures.rate = turns / (perf_counter() - start)
    figures.cpu = (server.process.cpu() - cpu) / max(1, turns)
    return figures


def stateless(server: RunningServer) -> OpenSession:
    """Turns of `/v1/chat/completions`, for comparison."""

    async def open_session() -> bytes:
        return server.target.request(UNPACED, stream=True)

    return open_session


def switchboard_sessions(server: RunningServer) -> OpenSession:
    """Turns of `/agent/invoke/stream`."""
    numbers = itertools.count()

    async def open_session() -> bytes:
        body = {"user_id": "ada", "session_id": f"s{next(numbers)}", "query": QUERY}
        return _post(server.target, "/agent/invoke/stream", body)

    return open_session


def langgraph_threads(server: RunningServer, http: httpx.AsyncClient) -> OpenSession:
    """Turns of LangGraph's API, which aegra has, too."""

    async def open_session() -> bytes:
        thread = (await http.post("/threads", json={})).raise_for_status().json()["thread_id"]
        messages = [{"role": "user", "content": QUERY}]
        body = {"assistant_id": "agent", "input": {"messages": messages}, "stream_mode": ["messages-tuple"]}
        return _post(server.target, f"/threads/{thread}/runs/stream", body)

    return open_session


async def _call(
    target: Target,
    open_session: OpenSession,
    figures: SessionFigures,
    *,
    turns: int | None = None,
    deadline: float | None = None,
) -> list[float]:
    """One caller's times to first token."""
    connection = Connection(target.host, target.port)
    times: list[float] = []
    request = b""
    try:
        for number in itertools.count():
            if (turns is not None and number >= turns) or (deadline is not None and perf_counter() > deadline):
                return times
            if number % TURNS_PER_SESSION == 0:
                request = await open_session()
            try:
                times.append(_first_token(*await connection.send(request)))
            except BrokenAnswer as exc:
                figures.broken.append(str(exc))
                await asyncio.sleep(0.05)
    finally:
        connection.close()
    return times


def _first_token(start: float, segments: Segments) -> float:
    """Raises BrokenAnswer unless the answer is whole."""
    pieces = [each.strip() for each in sample_pieces(split_timing(UNPACED)[1].tokens)]
    first, last = pieces[0].encode(), pieces[-1].encode()
    received = b"".join(data for _, data in segments)
    if not received.startswith(b"HTTP/1.1 200") or last not in received:
        raise BrokenAnswer(received[:300].decode(errors="replace"))
    seen = b""
    for arrival, data in segments:
        seen += data
        if first in seen:
            return arrival - start
    raise BrokenAnswer("no text")


def _post(target: Target, path: str, body: dict[str, object]) -> bytes:
    content = orjson.dumps(body)
    head = (
        f"POST {path} HTTP/1.1\r\nhost: {target.host}:{target.port}\r\nauthorization: Bearer {target.token}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content
