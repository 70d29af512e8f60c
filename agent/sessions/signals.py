"""Words that the processes of a server pass to each other about sessions.

A word that is lost costs time alone, since everybody also looks at the database now and then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Signals:
    """Delivers within this process."""

    def __init__(self) -> None:
        self._listeners: dict[str, list[Callable[[], None]]] = {}

    @contextmanager
    def on(self, word: str, react: Callable[[], None]) -> Iterator[None]:
        """Call `react` whenever `word` is heard, while this is entered."""
        listeners = self._listeners.setdefault(word, [])
        listeners.append(react)
        try:
            yield
        finally:
            listeners.remove(react)
            if not listeners:
                self._listeners.pop(word, None)

    async def send(self, word: str) -> None:
        """Have everybody hear `word`. Never raises."""
        self.deliver(word)

    def deliver(self, word: str) -> None:
        """Tell those who listen here."""
        for react in list(self._listeners.get(word, ())):
            react()


def stop_topic(turn_id: str) -> str:
    """Somebody wants the turn to end."""
    return f"stop:{turn_id}"


def turn_ended_topic(thread_id: str) -> str:
    """A turn on the thread has ended."""
    return f"over:{thread_id}"
