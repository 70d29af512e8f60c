"""Many phone calls at once, each at 20 tokens per second, some interrupted in mid-sentence."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from itertools import pairwise
from time import perf_counter

from websockets.exceptions import WebSocketException

from bench.load import Target
from bench.phone.phone_call import PhoneCall, phone_call
from router.fake.sample_text import sample_pieces

TOKENS = 64
TOKEN_SECONDS = 0.05
SPOKEN = f"fake-ok?first=200ms&gap=50ms&tokens={TOKENS}"
"""20 tokens per second."""
TURN_SECONDS = 0.2 + TOKENS * TOKEN_SECONDS
INTERRUPTED_EVERY = 4
"""Of so many turns, one is interrupted in the middle."""
QUIET = 0.3
"""Seconds without a frame after which an interrupted answer counts as silent."""


@dataclass(slots=True)
class ManyCalls:
    """Times in seconds. `silences`: from sending an interrupt to the last text frame that came after it, or 0."""

    gaps: list[float] = field(default_factory=list)
    silences: list[float] = field(default_factory=list)
    first_tokens: list[float] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    turns: int = 0
    seconds: float = 0.0
    server_cpu: float = 0.0
    provider_cpu: float = 0.0
    own_cpu: float = 0.0

    @property
    def server_use(self) -> float:
        """CPU time of the server per second; 1 is a whole core."""
        return self.server_cpu / self.seconds


async def call_many(target: Target, calls: int, seconds: float) -> ManyCalls:
    """Hold `calls` calls for `seconds`. They begin over the length of a turn, so that tokens do not tick in step."""
    figures = ManyCalls()
    start, cpu = perf_counter(), time.process_time()
    async with asyncio.TaskGroup() as group:
        for number in range(calls):
            delay = TURN_SECONDS * number / calls
            group.create_task(_call(target, number, delay, start + TURN_SECONDS + seconds, figures))
    figures.seconds, figures.own_cpu = perf_counter() - start, time.process_time() - cpu
    return figures


async def _call(target: Target, number: int, delay: float, deadline: float, figures: ManyCalls) -> None:
    await asyncio.sleep(delay)
    try:
        async with phone_call(target, 100_000 + number, SPOKEN) as call:
            turn = number
            while perf_counter() < deadline:
                if turn % INTERRUPTED_EVERY == 0:
                    await _interrupted_turn(call, figures, TOKENS // 2)
                else:
                    await _whole_turn(call, figures)
                turn += 1
                figures.turns += 1
    except (OSError, WebSocketException, TimeoutError, ValueError) as exc:
        figures.broken.append(f"{type(exc).__name__}: {exc}")


async def _whole_turn(call: PhoneCall, figures: ManyCalls) -> None:
    """Raises ValueError if the answer is not the provider's."""
    start = await call.say("Is my table booked for tonight?")
    heard: list[tuple[float, str]] = []
    async with asyncio.timeout(60):
        while True:
            arrival, frame = await call.next_text()
            if frame.token:
                heard.append((arrival, frame.token))
            if frame.last:
                break
    text = "".join(token for _, token in heard)
    if text.split() != "".join(sample_pieces(TOKENS)).split():
        raise ValueError(f"the answer is {text!r}")
    _note(start, heard, figures)


async def _interrupted_turn(call: PhoneCall, figures: ManyCalls, after: int) -> None:
    """The caller interrupts `after` tokens. Raises ValueError if the answer ends before."""
    start = await call.say("Tell me about tonight.")
    heard: list[tuple[float, str]] = []
    async with asyncio.timeout(60):
        while len(heard) < after:
            arrival, frame = await call.next_text()
            if frame.last:
                raise ValueError(f"the answer ended after {len(heard)} words")
            heard.append((arrival, frame.token))
    _note(start, heard, figures)
    interrupted = await call.interrupt("".join(token for _, token in heard[: after - 2]))
    last = interrupted
    while True:
        try:
            async with asyncio.timeout(QUIET):
                last, _ = await call.next_text()
        except TimeoutError:
            break
    figures.silences.append(last - interrupted)


def _note(start: float, heard: list[tuple[float, str]], figures: ManyCalls) -> None:
    """A word goes out with the token after it, which shows its end; the first one, and one before a comma or a full
    stop, at once. So the word after such a one is due one token later, and that time is no gap.
    """
    figures.first_tokens.append(heard[0][0] - start)
    for number, ((earlier, word), (later, _)) in enumerate(pairwise(heard)):
        waited = TOKEN_SECONDS if number == 0 or not word[-1].isalnum() else 0.0
        figures.gaps.append(later - earlier - waited)
