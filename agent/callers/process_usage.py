"""Counts the usage of callers in memory, or where it is told to."""

from __future__ import annotations

from typing import Final, Protocol

from limits.aio.storage import MemoryStorage

from agent.callers.running_turns import RunningTurns
from agent.callers.usage import UsageDecision
from agent.callers.windows import MinuteWindows
from config.callers.caller import Caller
from config.callers.standing import Limit, Standing

TURN_ENDS: Final = 1.0
"""Seconds after which a caller with too many running turns is told to try again; nobody knows when one ends."""


class Turns(Protocol):
    """Running turns; see RunningTurns."""

    async def begin(self, caller: str, turn: str, limit: int) -> bool: ...

    def end(self, caller: str, turn: str) -> None: ...


class ProcessUsage:
    """The usage that this process counts; with other `windows` and `turns`, that of all processes."""

    def __init__(self, windows: MinuteWindows | None = None, turns: Turns | None = None) -> None:
        self._windows = windows or MinuteWindows(MemoryStorage())
        self._turns = turns or RunningTurns()

    async def begin(self, caller: Caller, turn: str) -> UsageDecision:
        """Count a request and the running turn `turn`, unless a limit of the caller refuses them."""
        if caller.parallel_turns is not None:
            if not await self._turns.begin(caller.name, turn, caller.parallel_turns):
                return UsageDecision({}, "parallel_turns", TURN_ENDS)
        try:
            found = await self._count(caller)
        except BaseException:
            self.end(caller.name, turn)
            raise
        if found.refused_by is not None:
            self.end(caller.name, turn)
        return found

    def end(self, caller: str, turn: str) -> None:
        """The turn no longer runs."""
        self._turns.end(caller, turn)

    def count_tokens(self, caller: str, tokens: int) -> None:
        """Count tokens that a turn has used; only then they are known."""
        self._windows.add_tokens(caller, tokens)

    async def _count(self, caller: Caller) -> UsageDecision:
        standings: dict[Limit, Standing] = {}
        if caller.tokens_per_minute is not None:
            standings["tokens_per_minute"], wait = await self._windows.tokens(caller.name, caller.tokens_per_minute)
            if wait:
                return UsageDecision(standings, "tokens_per_minute", wait)
        if caller.requests_per_minute is not None:
            standing, wait = await self._windows.take_request(caller.name, caller.requests_per_minute)
            standings["requests_per_minute"] = standing
            if wait:
                return UsageDecision(standings, "requests_per_minute", wait)
        return UsageDecision(standings)
