"""Checks that a hang-up closes the provider's connection within a second."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass, field

from router.fake.server.fake_provider import FakeProvider
from router.fake.server.recorded_requests import RecordedRequest

LIMIT = 1.0
"""Seconds from the hang-up to the end of the provider's connection."""
INTERVAL = 0.25
"""Seconds between two checks."""


@dataclass(slots=True)
class HangUps:
    """Looks up the provider's requests `LIMIT` seconds after each hang-up.

    delays: seconds until the provider's connection was closed, of those that were in time.
    late: marks of the turns whose provider was closed too late.
    unasked: hang-ups before the provider was asked, or after it had answered.
    """

    provider: FakeProvider
    delays: list[float] = field(default_factory=list)
    late: list[str] = field(default_factory=list)
    unasked: int = 0
    _waiting: deque[tuple[float, str]] = field(default_factory=deque)

    def watch(self, mark: str) -> None:
        """The caller of this turn has hung up now."""
        self._waiting.append((time.time(), mark))

    async def run(self) -> None:
        """Check until cancelled."""
        while True:
            await asyncio.sleep(INTERVAL)
            self.check(time.time())

    def check(self, now: float) -> None:
        """Check the hang-ups that are more than `LIMIT` seconds old."""
        while self._waiting and now - self._waiting[0][0] > LIMIT:
            moment, mark = self._waiting.popleft()
            self._check(moment, [each for each in self.provider.log if is_asked_by(each, mark)], mark)

    def _check(self, moment: float, requests: list[RecordedRequest], mark: str) -> None:
        ended = [each.ended for each in requests]
        if any(each is None or each - moment > LIMIT for each in ended):
            self.late.append(mark)
        elif delays := [each - moment for each in ended if each is not None and each > moment]:
            self.delays.append(max(delays))
        else:
            self.unasked += 1


def is_asked_by(request: RecordedRequest, mark: str) -> bool:
    """Whether the request is of the turn whose last message is `mark`."""
    last = request.body["messages"][-1]
    return isinstance(last, dict) and last.get("content") == mark
