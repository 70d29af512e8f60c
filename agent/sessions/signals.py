"""Publish/subscribe between the processes of a server, for sessions.

A lost signal only costs time: subscribers also poll the database.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Signals:
    """Delivers signals within this process. A signal has a topic and no content."""

    def __init__(self) -> None:
        self._callbacks: dict[str, list[Callable[[], None]]] = {}

    @contextmanager
    def subscribe(self, topic: str, callback: Callable[[], None]) -> Iterator[None]:
        """Call `callback` at each signal on `topic` while this is entered."""
        callbacks = self._callbacks.setdefault(topic, [])
        callbacks.append(callback)
        try:
            yield
        finally:
            callbacks.remove(callback)
            if not callbacks:
                self._callbacks.pop(topic, None)

    async def publish(self, topic: str) -> None:
        """Send a signal to all subscribers of `topic`. Never raises."""
        self.deliver(topic)

    def deliver(self, topic: str) -> None:
        """Call the subscribers of this process."""
        for callback in list(self._callbacks.get(topic, ())):
            callback()


def stop_topic(turn_id: str) -> str:
    """The turn is asked to end."""
    return f"stop:{turn_id}"


def turn_ended_topic(thread_id: str) -> str:
    """A turn on the thread has ended."""
    return f"over:{thread_id}"
