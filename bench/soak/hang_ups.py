"""Checks that a hang-up closes the provider's connection within a second."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass, field

from bench.soak.loop_lag import LoopLag
from router.fake.server.fake_provider import FakeProvider
from router.fake.server.recorded_requests import RecordedRequest

LIMIT = 1.0
"""Seconds from the hang-up to the end of the provider's connection."""
INTERVAL = 0.25
"""Seconds between two checks."""


@dataclass(slots=True)
class HangUps:
    """Looks up the provider's requests `LIMIT` seconds after each hang-up.

    The callers and the provider share the soak's event loop. The time in which that was late does not count: neither
    had a caller closed its connection, nor would the provider have seen the end of its own.

    delays: seconds until the provider's connection was closed, of those that were in time. The loop's own are included.
    held_up: number of those that were in time only without the loop's own delays.
    late: marks of the turns whose provider was closed too late.
    unasked: hang-ups before the provider was asked, or after it had answered.
    """

    provider: FakeProvider
    lag: LoopLag = field(default_factory=LoopLag)
    delays: list[float] = field(default_factory=list)
    late: list[str] = field(default_factory=list)
    held_up: int = 0
    unasked: int = 0
    _waiting: deque[tuple[float, str]] = field(default_factory=deque)

    def watch(self, mark: str, now: float) -> None:
        """The caller of this turn has hung up now, in seconds since 1970."""
        self._waiting.append((now, mark))

    async def run(self) -> None:
        """Check until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.lag.run())
            while True:
                await asyncio.sleep(INTERVAL)
                self.check(time.time())

    def check(self, now: float) -> None:
        """Check the hang-ups that are more than `LIMIT` seconds old."""
        while self._waiting and self._passed(self._waiting[0][0], now) > LIMIT:
            moment, mark = self._waiting.popleft()
            self._check(moment, [each for each in self.provider.log if is_asked_by(each, mark)], mark)

    def _check(self, moment: float, requests: list[RecordedRequest], mark: str) -> None:
        ended = [each.ended for each in requests]
        if any(each is None or self._passed(moment, each) > LIMIT for each in ended):
            self.late.append(mark)
        elif delays := [each - moment for each in ended if each is not None and each > moment]:
            self.delays.append(max(delays))
            self.held_up += max(delays) > LIMIT
        else:
            self.unasked += 1

    def _passed(self, start: float, end: float) -> float:
        """Seconds between two moments, without those in which the soak's loop was late."""
        return end - start - self.lag.between(start, end)


def is_asked_by(request: RecordedRequest, mark: str) -> bool:
    """Whether the request is of the turn whose last message is `mark`."""
    last = request.body["messages"][-1]
    return isinstance(last, dict) and last.get("content") == mark
