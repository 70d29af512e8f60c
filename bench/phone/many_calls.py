"""Many phone calls at once, whose answers come at 20 tokens per second, some interrupted in mid-sentence."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from time import perf_counter

from websockets.exceptions import WebSocketException

from agent.calls.speech import SECONDS_PER_WORD
from bench.load import Target
from bench.phone.phone_call import PhoneCall, phone_call
from router.fake.sample_text import sample_pieces

TOKENS = 64
TOKEN_SECONDS = 0.05
SPOKEN = f"fake-ok?first=200ms&gap=50ms&tokens={TOKENS}"
"""20 tokens per second."""
TURN_SECONDS = 0.2 + TOKENS * TOKEN_SECONDS
CALLER_SECONDS = 5.0
"""How long a caller thinks and speaks before the carrier sends what was said."""
INTERRUPTED_EVERY = 4
"""Of so many turns, one is interrupted in the middle."""
QUIET = 0.3
"""Seconds without a frame after which an interrupted answer counts as silent."""


@dataclass(slots=True)
class ManyCalls:
    """Times in seconds. `silences`: from sending an interrupt to the last text frame that came after it, or 0.

    Turns that began before `since`, by `time.perf_counter()`, do not count. `cpu` is CPU time by process.
    """

    since: float = 0.0
    gaps: list[float] = field(default_factory=list)
    silences: list[float] = field(default_factory=list)
    first_tokens: list[float] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    turns: int = 0
    seconds: float = 0.0
    cpu: dict[str, float] = field(default_factory=dict)


async def call_many(
    target: Target, calls: int, seconds: float, *, pauses: bool, cpu: Mapping[str, Callable[[], float]]
) -> ManyCalls:
    """Hold `calls` calls, and measure for `seconds` once all have begun. `cpu` gives the processes' CPU times.

    With `pauses` the callers listen until the answer is played, and then speak. Without, the next turn begins at the
    end of the answer, so that all calls speak all the time. Calls begin over the length of an exchange, so that their
    tokens do not tick in step.
    """
    start, length = perf_counter(), TURN_SECONDS + (_pause_after(sample_pieces(TOKENS)) if pauses else 0.0)
    figures = ManyCalls(since=start + length)
    async with asyncio.TaskGroup() as group:
        for number in range(calls):
            begin = start + length * number / calls
            group.create_task(_call(target, number, begin, figures.since + seconds, figures, pauses=pauses))
        await asyncio.sleep(figures.since - perf_counter())
        before = {name: read() for name, read in cpu.items()}
        await asyncio.sleep(seconds)
        figures.seconds = perf_counter() - figures.since
        figures.cpu = {name: read() - before[name] for name, read in cpu.items()}
    return figures


async def _call(target: Target, number: int, begin: float, end: float, figures: ManyCalls, *, pauses: bool) -> None:
    """Takes one turn at least that counts."""
    await asyncio.sleep(begin - perf_counter())
    try:
        async with phone_call(target, 100_000 + number, SPOKEN) as call:
            turn, began = number, 0.0
            while began < figures.since or perf_counter() < end:
                began = perf_counter()
                if turn % INTERRUPTED_EVERY == 0:
                    await _interrupted_turn(call, figures, TOKENS // 2)
                    pause = CALLER_SECONDS
                else:
                    pause = _pause_after(await _whole_turn(call, figures))
                turn += 1
                if pauses:
                    await asyncio.sleep(pause)
    except (OSError, WebSocketException, TimeoutError, ValueError) as exc:
        figures.broken.append(f"{type(exc).__name__}: {exc}")


def _pause_after(answer: Sequence[str]) -> float:
    """Seconds from the last token of an answer to the caller's next words, if it is played from its first token on."""
    played = SECONDS_PER_WORD * len("".join(answer).split())
    return max(0.0, played - TOKENS * TOKEN_SECONDS) + CALLER_SECONDS


async def _whole_turn(call: PhoneCall, figures: ManyCalls) -> list[str]:
    """Returns the tokens. Raises ValueError if the answer is not the provider's."""
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
    return [token for _, token in heard]


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
    if start >= figures.since:
        figures.silences.append(last - interrupted)


def _note(start: float, heard: list[tuple[float, str]], figures: ManyCalls) -> None:
    """A word goes out with the token after it, which shows its end; the first one, and one before a comma or a full
    stop, at once. So the word after such a one is due one token later, and that time is no gap.
    """
    if start < figures.since:
        return
    figures.turns += 1
    figures.first_tokens.append(heard[0][0] - start)
    for number, ((earlier, word), (later, _)) in enumerate(pairwise(heard)):
        waited = TOKEN_SECONDS if number == 0 or not word[-1].isalnum() else 0.0
        figures.gaps.append(later - earlier - waited)
