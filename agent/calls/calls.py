"""The open calls. A call that connects again, here or on another server, takes the place of its older connection."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from secrets import token_hex

from agent.calls.call import Call
from agent.calls.details import CallDetails, CallServices
from agent.calls.line import Line
from agent.sessions.signals import call_topic


class Calls:
    """Opens calls. `count` is the number of those that are open in this process."""

    def __init__(self, services: CallServices) -> None:
        self._services = services
        self.count = 0

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

        with self._services.signals.subscribe_content(topic, on_connected):
            await self._services.signals.publish(topic, mine)
            self.count += 1
            try:
                async with Call(line, details, self._services, reminds=reminds) as call:
                    yield call
            finally:
                self.count -= 1
