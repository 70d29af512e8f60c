"""The account of a soak: what became of each turn, and which messages must be stored afterwards."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from time import perf_counter
from typing import Literal

from bench.soak.gateway import Received
from bench.soak.traffic import PLAIN, SCRIPT, TurnPlan
from bench.soak.verdict import Outcome

Kind = Literal["chat", "session", "review", "persona", "task"]
MAX_EXAMPLES = 20
"""Number of lost, doubled and broken turns that are described."""


@dataclass(frozen=True, slots=True)
class Turn:
    """Times are those of `time.perf_counter()`; `first_token` is in seconds from `started`."""

    kind: Kind
    mark: str
    model: str
    started: float
    ended: float
    outcome: Outcome
    reason: str = ""
    code: str = ""
    first_token: float | None = None


@dataclass(slots=True)
class Message:
    """A message of a user. `answer` is the text of its answer if the caller has received it whole."""

    text: str
    answer: str | None = None


@dataclass(slots=True)
class Thread:
    """A session, or the conversation of a persona, with what was sent to it. `path` reads its messages."""

    kind: Kind
    path: str
    messages: list[Message] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Disturbance:
    """An event of the timetable. Turns that overlap it, or begin up to `AFTERMATH` seconds later, belong to it."""

    name: str
    started: float
    ended: float


AFTERMATH = 12.0
"""Seconds: the lease of a dead server's turns, and a little more."""


@dataclass(slots=True)
class Ledger:
    """All turns of the load, the threads and the marks of tools to check, and the gaps of the chat streams.

    killed: when a process got SIGKILL.
    problems: events that did not come to their end.
    """

    turns: list[Turn] = field(default_factory=list)
    threads: list[Thread] = field(default_factory=list)
    tool_calls: dict[str, int] = field(default_factory=dict)
    gaps: array[float] = field(default_factory=lambda: array("f"))
    disturbances: list[Disturbance] = field(default_factory=list)
    killed: list[float] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def add(
        self, kind: Kind, plan: TurnPlan, received: Received, outcome: tuple[Outcome, str], code: str = ""
    ) -> Outcome:
        """Record the turn that `received` belongs to; it ends now."""
        verdict, reason = outcome
        self.turns.append(
            Turn(
                kind,
                plan.mark,
                plan.model,
                received.started,
                perf_counter(),
                verdict,
                reason,
                code,
                received.first_token,
            )
        )
        if kind == "chat" and verdict == "whole":
            self.gaps.extend(received.gaps)
        return verdict

    def new_thread(self, kind: Kind, path: str) -> Thread:
        thread = Thread(kind, path)
        self.threads.append(thread)
        return thread

    def expect_calls(self, name: str, at_least: int) -> None:
        """The tool with this mark must have run at least so often, and never more than once."""
        self.tool_calls[name] = at_least

    def count(self, outcome: Outcome) -> int:
        return sum(turn.outcome == outcome for turn in self.turns)

    def examples(self, *outcomes: Outcome) -> list[str]:
        """Describe some turns with these outcomes."""
        found = (turn for turn in self.turns if turn.outcome in outcomes)
        return [self.describe(turn) for turn in islice(found, MAX_EXAMPLES)]

    def describe(self, turn: Turn) -> str:
        """What became of the turn, in words."""
        event = self.cause(turn) or "no event"
        return f"{turn.outcome} {turn.kind} {turn.mark} on {turn.model}: {turn.reason} ({event})"

    def cause(self, turn: Turn) -> str | None:
        """The latest event that may have had an effect on the turn."""
        for each in reversed(self.disturbances):
            if turn.ended >= each.started and turn.started <= each.ended + AFTERMATH:
                return each.name
        return None

    def errors(self) -> Counter[tuple[str, Kind, str]]:
        """Clean errors by event, kind and code; the event is empty for those of a provider."""
        return Counter(
            (self.cause(turn) or "", turn.kind, turn.code) for turn in self.turns if turn.outcome == "clean error"
        )

    def unexplained(self, outcome: Literal["cut", "bad gateway"], within: float) -> Iterator[Turn]:
        """Turns with this outcome that did not end within so many seconds after a process was killed."""
        for turn in self.turns:
            if turn.outcome == outcome and not any(
                turn.started <= moment + within and moment <= turn.ended <= moment + within for moment in self.killed
            ):
                yield turn


def first_tokens(turns: Sequence[Turn], kind: Kind) -> list[float]:
    """The times to first token of the whole turns of a kind whose provider did not fail, in seconds."""
    return [
        turn.first_token
        for turn in turns
        if turn.kind == kind and turn.outcome == "whole" and turn.model in (PLAIN, SCRIPT) and turn.first_token
    ]
