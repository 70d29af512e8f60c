"""One turn at a time for each session key: a newer turn supersedes the one that runs."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from agent.events import Event
from agent.turn import Turn


@dataclass(frozen=True, slots=True)
class _Running:
    """The turn that runs on a session, and the fingerprints of the requests that it superseded, one after another."""

    turn: Turn
    fingerprint: bytes | None
    superseded: frozenset[bytes] = frozenset()

    def is_resent(self, fingerprint: bytes | None) -> bool:
        """Whether a client sends a superseded request again. The running one may be repeated: it is replaced."""
        return fingerprint in self.superseded and fingerprint != self.fingerprint

    def replaced_by(self, turn: Turn, fingerprint: bytes | None) -> _Running:
        return _Running(turn, fingerprint, self.superseded | ({self.fingerprint} if self.fingerprint else set()))


class LatestTurns:
    """The turns that run, by their session key."""

    def __init__(self) -> None:
        self._running: dict[str, _Running] = {}

    async def run(self, turn: Turn, session_key: str, fingerprint: bytes | None) -> AsyncGenerator[Event, None]:
        """The turn's events; a turn that still runs on the session is superseded first.

        `fingerprint` identifies the request. One that the running turn superseded, sent again, is superseded at once
        and disturbs nothing.
        """
        running = _Running(turn, fingerprint)
        if older := self._running.get(session_key):
            if older.is_resent(fingerprint):
                turn.supersede()
            else:
                older.turn.supersede()
                running = older.replaced_by(turn, fingerprint)
        if not turn.superseded:
            self._running[session_key] = running
        try:
            async with aclosing(turn.events()) as events:
                async for event in events:
                    yield event
        finally:
            if self._running.get(session_key) is running:
                del self._running[session_key]
