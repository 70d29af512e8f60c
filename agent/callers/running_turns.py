"""Which turns of callers run now, in this process."""

from __future__ import annotations


class RunningTurns:
    """The turns that this process runs."""

    def __init__(self) -> None:
        self._of: dict[str, set[str]] = {}

    async def begin(self, caller: str, turn: str, limit: int) -> bool:
        """Count the turn as running, unless `limit` others of the caller run; returns whether it counts."""
        turns = self._of.setdefault(caller, set())
        if len(turns) >= limit:
            return False
        turns.add(turn)
        return True

    def end(self, caller: str, turn: str) -> None:
        """The turn no longer runs."""
        self._of.get(caller, set()).discard(turn)
