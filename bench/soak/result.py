"""The result of a soak, and what in it is a failure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from bench.soak.audit import Audit
from bench.soak.hang_ups import HangUps
from bench.soak.ledger import MAX_EXAMPLES, Ledger
from bench.soak.resources import Holdings
from bench.soak.sampler import MemoryCourse, Sample, memory_courses
from bench.soak.stack import Layout
from bench.soak.traffic import FAULT_CODES

MAX_GROWTH = 15.0
"""Allowed memory growth of a worker in MB; see `memory_growth`."""
CUT_WITHIN = 2.0
"""Seconds after a SIGKILL within which the streams of the dead process break off."""
BACKING = ("Redis restarts", "PostgreSQL restarts", "models.yaml is invalid", "rolling restart")
"""Events that chat completions must not notice."""


@dataclass(frozen=True, slots=True)
class SoakResult:
    """`leaks` compares `after` with `before`; `load` is the machine's load average before and after.

    started: `time.perf_counter()` when the load began.
    proxy: whether the callers reached the servers through nginx.
    tracebacks: excerpts from the servers' logs.
    """

    soak_seconds: float
    callers: int
    layout: Layout
    started: float
    ledger: Ledger
    hang_ups: HangUps
    audit: Audit
    before: Holdings
    after: Holdings
    leaks: Sequence[str]
    samples: Sequence[Sample]
    tracebacks: Sequence[str]
    load: tuple[float, float]
    proxy: bool

    @property
    def lost(self) -> int:
        """Streams and tasks without an end, answers without words, acknowledged messages that are not stored."""
        cuts = sum(1 for _ in self.ledger.unexplained("cut", CUT_WITHIN))
        return self.ledger.count("lost") + cuts + len(self.audit.lost)

    @property
    def doubled(self) -> int:
        """Words, events, messages, answers and calls of tools that came twice."""
        return self.ledger.count("doubled") + len(self.audit.doubled)

    @property
    def courses(self) -> list[MemoryCourse]:
        return memory_courses(self.samples)

    def failures(self) -> list[str]:
        """Describe what must not be."""
        return list(self._failures())

    def _failures(self) -> Iterator[str]:
        if self.lost:
            yield f"{self.lost} lost"
        if self.doubled:
            yield f"{self.doubled} doubled"
        if refused := sum(1 for _ in self.ledger.unexplained("bad gateway", CUT_WITHIN)):
            yield f"{refused} requests got a 502 of the proxy although no process was killed"
        if broken := self.ledger.count("broken"):
            yield f"{broken} broken turns"
        yield from (f"leaked: {each}" for each in self.leaks)
        yield from self.ledger.problems
        if self.hang_ups.late:
            yield f"{len(self.hang_ups.late)} hang-ups reached the provider late, such as {self.hang_ups.late[:3]}"
        for course in self.courses:
            if course.growth > MAX_GROWTH:
                yield f"the memory of worker {course.pid} grew by {course.growth:.1f} MB beside its threads"
        for (event, kind, code), number in self.ledger.errors().items():
            if kind == "chat" and code not in FAULT_CODES and event in BACKING:
                yield f"{number} chat turns failed with {code} while {event}"
        if self.tracebacks:
            yield f"{len(self.tracebacks)} tracebacks in the servers' logs, the first:\n{self.tracebacks[0]}"
        if not self.ledger.count("whole"):
            yield "no turn was whole"

    def details(self) -> list[str]:
        """Examples of what is lost, doubled or broken."""
        broken_off = (*self.ledger.unexplained("cut", CUT_WITHIN), *self.ledger.unexplained("bad gateway", CUT_WITHIN))
        return [
            *self.ledger.examples("lost", "doubled", "broken"),
            *map(self.ledger.describe, islice(broken_off, MAX_EXAMPLES)),
            *self.audit.lost[:MAX_EXAMPLES],
            *self.audit.doubled[:MAX_EXAMPLES],
        ]
