"""The statistics of this process, in memory: what it has counted, and what of it is not stored yet.

Counting is a few additions per turn. `StatisticsWriter` stores the counts in the background.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final
from uuid import uuid4

from agent.statistics.counts import GROUPS, Counts, Group
from agent.statistics.turn_counts import REQUESTS, EndedTurn, count_attempt, count_turn
from agent.storage.columns import storable
from config.errors import SwitchboardError
from router.turn_record import TurnRecord

MINUTE: Final = 60

TOTAL: Final = 0
"""In place of a minute: everything that a process has counted."""

MAX_NAMES: Final = 200
"""Different models, deployments or callers that a process counts apart: a wildcard has endless model names."""

OTHER: Final = "other"
"""The name under which the rest is counted."""

OWN_WORK: Final = "agent"
"""The caller of turns that the agent needs for itself, such as a summary of a conversation."""

MAX_UNSTORED: Final = 240
"""Minutes that are kept while the database is unavailable. Totals are kept for any time."""

MAX_RECENT: Final = 100
"""Turns that are kept one by one."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What may differ from the stored rows of `process`: its counts by minute since 1970 or TOTAL, and running turns.

    Each value replaces the stored one of the same minute, so that storing it twice does no harm.
    """

    process: str
    counts: Mapping[int, Counts]
    running: int
    version: int


@dataclass(frozen=True, slots=True)
class RecentTurn:
    """A turn that `ended` at that time, in seconds since 1970; `number` counts the turns of this process."""

    number: int
    ended: float
    turn: EndedTurn


@dataclass(slots=True)
class _Names:
    """The names under which a group is counted: at most MAX_NAMES."""

    known: dict[str, str] = field(default_factory=dict)

    def of(self, name: str) -> str:
        counted = self.known.get(name)
        if counted is None:
            if len(self.known) >= MAX_NAMES:
                return OTHER
            counted = self.known[name] = storable(name)
        return counted


class Statistics:
    """Counts requests and turns. `clock` is the time in seconds since 1970; `recent` are the last turns.

    `on_turn` is told of each turn that has ended.
    """

    def __init__(
        self, clock: Callable[[], float] = time.time, on_turn: Callable[[EndedTurn], None] | None = None
    ) -> None:
        self._clock = clock
        self._on_turn = on_turn
        self._names: dict[Group, _Names] = {group: _Names() for group in GROUPS}
        self._process = uuid4().hex
        self._minute = int(clock()) // MINUTE
        self._current = Counts()
        self._total = Counts()  # without the current minute
        self._ended: dict[int, Counts] = {}  # minutes that are not stored
        self._version = self._stored = 0
        self._turns = 0
        self.running = 0
        self.recent: deque[RecentTurn] = deque(maxlen=MAX_RECENT)

    def count_request(self, caller: str) -> None:
        """Count an HTTP request that asks for a turn."""
        self._begin_minute()
        self._current.of("callers", self._names["callers"].of(caller))[REQUESTS] += 1
        self._version += 1

    def turn_began(self) -> None:
        self.running += 1
        self._version += 1

    def turn_ended(self, turn: EndedTurn) -> None:
        """Count a turn that `turn_began` announced."""
        self.running -= 1
        self._begin_minute()
        names, counts = self._names, self._current
        model = counts.of("models", names["models"].of(turn.model))
        count_turn(turn, model, counts.of("callers", names["callers"].of(turn.caller)))
        for each in turn.record.attempts:
            count_attempt(each, counts.of("deployments", names["deployments"].of(each.deployment)))
        self._turns += 1
        self.recent.append(RecentTurn(self._turns, self._clock(), turn))
        self._version += 1
        if self._on_turn is not None:
            self._on_turn(turn)

    @contextmanager
    def own_turn(self, record: TurnRecord, clock: Callable[[], float]) -> Iterator[None]:
        """Count the block as a turn that the agent needs for itself. `clock` counts seconds."""
        began, outcome = clock(), "cancelled"
        self.turn_began()
        try:
            yield
            outcome = "stop"
        except Exception as error:
            outcome = (error if isinstance(error, SwitchboardError) else SwitchboardError()).code
            raise
        finally:
            seconds = clock() - began
            self.turn_ended(EndedTurn(record.asked, OWN_WORK, outcome, record, seconds, record.first_token, began))

    @property
    def since_start(self) -> Counts:
        """Everything that this process has counted."""
        return Counts.sum(self._total, self._current)

    def is_stored(self) -> bool:
        """Whether the database has everything. Also closes the minute when it is over."""
        self._begin_minute()
        return self._version == self._stored

    def snapshot(self) -> Snapshot:
        """What the database does not have yet, or has in an older state."""
        self._begin_minute()
        counts = dict(self._ended)
        if self._current:
            counts[self._minute] = Counts.sum(self._current)
        if total := self.since_start:
            counts[TOTAL] = total
        return Snapshot(self._process, counts, self.running, self._version)

    def stored(self, snapshot: Snapshot) -> None:
        """The database has all of `snapshot`."""
        self._stored = max(self._stored, snapshot.version)
        for minute, counts in snapshot.counts.items():
            if self._ended.get(minute) is counts:  # otherwise it was the current minute, and more was counted since
                del self._ended[minute]

    def _begin_minute(self) -> None:
        """Close the current minute when it is over. A clock that goes back changes nothing."""
        minute = int(self._clock()) // MINUTE
        if minute <= self._minute:
            return
        before, self._minute = self._minute, minute
        if self._current:
            self._ended[before] = self._current
            self._total.add(self._current)
            self._current = Counts()
        for each in list(self._ended)[:-MAX_UNSTORED]:
            del self._ended[each]
