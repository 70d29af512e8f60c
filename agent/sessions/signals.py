"""Publish/subscribe between the processes of a server, for sessions.

A lost signal only costs time: subscribers also poll the database.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress


class Signals:
    """Delivers signals within this process. A signal has a topic, and rarely a short content on one line."""

    def __init__(self) -> None:
        self._callbacks: dict[str, list[Callable[[str], None]]] = {}

    @contextmanager
    def subscribe(self, topic: str, callback: Callable[[], None]) -> Iterator[None]:
        """Call `callback` at each signal on `topic` while this is entered."""
        with self.subscribe_content(topic, lambda _: callback()):
            yield

    @contextmanager
    def subscribe_content(self, topic: str, callback: Callable[[str], None]) -> Iterator[None]:
        """Call `callback` with the content of each signal on `topic` while this is entered."""
        callbacks = self._callbacks.setdefault(topic, [])
        callbacks.append(callback)
        try:
            yield
        finally:
            callbacks.remove(callback)
            if not callbacks:
                self._callbacks.pop(topic, None)

    async def publish(self, topic: str, content: str = "") -> None:
        """Send a signal to all subscribers of `topic`. Never raises."""
        self.deliver(topic, content)

    def deliver(self, topic: str, content: str = "") -> None:
        """Call the subscribers of this process."""
        for callback in list(self._callbacks.get(topic, ())):
            callback(content)


async def wait_for_signal(arrived: asyncio.Event, timeout: float) -> None:
    """Wait until a subscription has set `arrived`, or for `timeout` seconds, because a signal may get lost."""
    with suppress(TimeoutError):
        async with asyncio.timeout(timeout):
            await arrived.wait()


def stop_topic(turn_id: str) -> str:
    """The turn is asked to end."""
    return f"stop:{turn_id}"


def turn_ended_topic(thread_id: str) -> str:
    """A turn on the thread has ended."""
    return f"over:{thread_id}"


def call_topic(user_id: str, session_id: str) -> str:
    """A phone call has a newer connection; the content says which."""
    return f"call:{user_id}/{session_id}"
