"""The fake provider's request log."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

_MAX_RECORDS = 1000


@dataclass(slots=True)
class RecordedRequest:
    """One chat completion request. Times are seconds since 1970.

    `ended_by` is "provider" when the provider finished or broke off its answer, "caller" when the caller disconnected
    before that, and None while it is running. `whole`: whether the answer was sent to its end.
    """

    model: str
    behaviour: str
    stream: bool
    messages: int
    body: dict[str, Any] = field(repr=False)
    time: float = field(default_factory=time.time)
    status: int | None = None
    ended: float | None = None
    ended_by: Literal["provider", "caller"] | None = None
    whole: bool = False

    def end(self, by: Literal["provider", "caller"], *, whole: bool = False) -> None:
        """Record the end. Only the first call counts, since the connection may serve other requests later."""
        if self.ended is None:
            self.ended, self.ended_by, self.whole = time.time(), by, whole

    def as_json(self) -> dict[str, Any]:
        """The entry for `GET /control/log`: all fields except `body`."""
        return {name: getattr(self, name) for name in self.__slots__ if name != "body"}


class RequestLog:
    """The last 1000 requests, and the number of requests for each model name since the last reset."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._records: deque[RecordedRequest] = deque(maxlen=_MAX_RECORDS)
        self._counts: Counter[str] = Counter()
        self._since: dict[str, float] = {}
        self._clock = clock

    def add(self, record: RecordedRequest) -> int:
        """Add a record; returns the number of records for its model name, with suffix and without timing."""
        name = record.model.partition("?")[0]
        self._records.append(record)
        self._counts[name] += 1
        self._since.setdefault(name, self._clock())
        return self._counts[name]

    def age(self, model: str) -> float:
        """Seconds since the first record for this model name."""
        return self._clock() - self._since[model.partition("?")[0]]

    def reset(self) -> None:
        """Delete all records, which restarts behaviours that depend on the count."""
        self._records.clear()
        self._counts.clear()
        self._since.clear()

    def __iter__(self) -> Iterator[RecordedRequest]:
        return iter(self._records)

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, at: int) -> RecordedRequest:
        return self._records[at]
