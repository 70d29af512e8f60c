"""The open calls. A call that connects again, here or on another server, takes the place of its older connection."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from secrets import token_hex
from typing import Final

from agent.calls.call import Call
from agent.calls.details import CallDetails, CallServices
from agent.calls.line import Line
from agent.sessions.signals import call_topic

REMEMBERED: Final = 1000
"""The calls of which a process knows that it opened them."""


class Calls:
    """Opens calls. `count` is the number of those that are open in this process."""

    def __init__(self, services: CallServices) -> None:
        self._services = services
        self._opened: deque[tuple[str, str]] = deque(maxlen=REMEMBERED)
        self.count = 0

    def was_open(self, details: CallDetails) -> bool:
        """Whether the call had a connection here a while ago."""
        return (details.user_id, details.session_id) in self._opened

    @asynccontextmanager
    async def open(
        self, line: Line, details: CallDetails, on_replaced: Callable[[], None], *, reminds: bool = True
    ) -> AsyncIterator[Call]:
        """A call, for as long as this is entered. `on_replaced` is called when it has a newer connection."""
        topic = call_topic(details.user_id, details.session_id)
        mine = f"{time.time_ns():020} {token_hex(4)}"  # the order of their text is that of their time

        def on_connected(other: str) -> None:
            if other > mine:
                on_replaced()

        if not self.was_open(details):
            self._opened.append((details.user_id, details.session_id))
        with self._services.signals.subscribe_content(topic, on_connected):
            await self._services.signals.publish(topic, mine)
            self.count += 1
            try:
                async with Call(line, details, self._services, reminds=reminds) as call:
                    yield call
            finally:
                self.count -= 1
