"""What the fake provider saw: one entry for each request, and how it ended."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

_KEPT = 1000


@dataclass(slots=True)
class RecordedRequest:
    """One request for an answer. Times are seconds since 1970.

    `ended_by` is "provider" when the answer was given, whole or broken, "caller" when the caller hung up before that,
    and None while it goes on. `whole` says whether the answer was given to its end.
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
        """Note the end, once: what happens to the connection after it says nothing about this answer."""
        if self.ended is None:
            self.ended, self.ended_by, self.whole = time.time(), by, whole

    def as_json(self) -> dict[str, Any]:
        """The entry for `GET /control/log`: everything but the request's body."""
        return {name: getattr(self, name) for name in self.__slots__ if name != "body"}


class RequestLog:
    """The last thousand exchanges, and how many there were for each model name since the last reset."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._kept: deque[RecordedRequest] = deque(maxlen=_KEPT)
        self._counts: Counter[str] = Counter()
        self._since: dict[str, float] = {}
        self._clock = clock

    def add(self, record: RecordedRequest) -> int:
        """Keep it; says how many there were for its model (with its suffix, without its timing), this one included."""
        name = record.model.partition("?")[0]
        self._kept.append(record)
        self._counts[name] += 1
        self._since.setdefault(name, self._clock())
        return self._counts[name]

    def age(self, model: str) -> float:
        """Seconds since the first record for this model name."""
        return self._clock() - self._since[model.partition("?")[0]]

    def reset(self) -> None:
        """Forget everything, so that counted behaviours begin again."""
        self._kept.clear()
        self._counts.clear()
        self._since.clear()

    def __iter__(self) -> Iterator[RecordedRequest]:
        return iter(self._kept)

    def __len__(self) -> int:
        return len(self._kept)

    def __getitem__(self, at: int) -> RecordedRequest:
        return self._kept[at]
