"""Admits turns within the limits of their caller and of the server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Final
from uuid import uuid4

from agent.callers.spending import Spending
from agent.callers.turn_places import TurnPlaces
from agent.callers.usage import CallerUsage
from agent.statistics.turn_counts import EndedTurn
from config.callers.caller import Caller, LiveCallers
from config.callers.standing import Limit, Standing
from config.errors import CallerRateLimited, TokenWithdrawn

REASONS: Final[dict[Limit, str]] = {
    "requests_per_minute": "requests per minute",
    "tokens_per_minute": "tokens per minute",
    "parallel_turns": "turns at the same time",
}

SECOND_TRY: Final = 0.2
"""Seconds until a turn that found all places of its caller taken tries again, once. One may just have ended: a caller
that interrupts the agent hangs up and asks at the same time, and another server may not have told of its end yet."""


@dataclass(frozen=True, slots=True)
class AdmittedTurn:
    """A turn that may run. Call `release` once, when it has ended. `standings` are the limits per minute with it."""

    release: Callable[[], None]
    standings: Mapping[Limit, Standing]


class CallerLimits:
    """The limits of `callers`, and that of the server, in `places`; the latter alone without callers.yaml."""

    def __init__(
        self,
        callers: LiveCallers,
        places: TurnPlaces,
        usage: CallerUsage | None = None,
        spending: Spending | None = None,
    ) -> None:
        self._callers = callers
        self._places = places
        self._usage = usage
        self._spending = spending

    @property
    def is_full(self) -> bool:
        """Whether a turn would have to wait."""
        return self._places.is_full

    async def admit(self, name: str) -> AdmittedTurn:
        """Admit a turn of the caller `name`.

        Raises:
            CallerRateLimited, QuotaExhausted, StorageUnavailable, TokenWithdrawn: see `check` and `admit_task`.
            ServerBusy: the server runs as many turns as it may.
        """
        caller, turn = self._checked(name), uuid4().hex
        standings = await self._begin(caller, turn) if caller is not None else {}
        try:
            await self._places.enter()
        except BaseException:
            self._end(name, turn)
            raise

        def release() -> None:
            self._places.leave()
            self._end(name, turn)

        return AdmittedTurn(release, standings)

    async def admit_task(self, name: str) -> None:
        """Admit a request for a task, which runs later and among as many as its worker allows.

        Raises:
            CallerRateLimited: a limit per minute is reached.
            QuotaExhausted, StorageUnavailable, TokenWithdrawn: see `check`.
        """
        if (caller := self._checked(name)) is not None:
            await self._begin(replace(caller, parallel_turns=None), uuid4().hex)

    def check(self, name: str | None) -> None:
        """Check what may have changed since a task was submitted.

        Raises:
            TokenWithdrawn: the caller's token is no longer valid.
            QuotaExhausted: its budget is used up.
            StorageUnavailable: it is not known how much of its budget the caller has spent.
        """
        self._checked(name)

    def count(self, turn: EndedTurn) -> None:
        """Count the tokens and the cost of a turn that has ended."""
        if (caller := self._callers.listed(turn.caller)) is None:
            return
        attempts = turn.record.attempts
        self.count_tokens(caller.name, sum(each.input_tokens + each.output_tokens for each in attempts))
        if self._spending is not None:
            self._spending.add(caller.name, sum(each.cost or 0.0 for each in attempts))

    def count_tokens(self, name: str, tokens: int) -> None:
        """Count tokens of the caller `name`, if they are limited."""
        caller = self._callers.listed(name)
        if tokens and self._usage is not None and caller is not None and caller.tokens_per_minute is not None:
            self._usage.count_tokens(name, tokens)

    def _checked(self, name: str | None) -> Caller | None:
        """The caller, None for an operator. Raises as `check` does."""
        caller = self._callers.get(name)
        if caller is not None:
            if caller.has_expired():
                raise TokenWithdrawn
            if self._spending is not None:
                self._spending.check(caller)
        return caller

    async def _begin(self, caller: Caller, turn: str) -> Mapping[Limit, Standing]:
        if self._usage is None or not caller.limits_usage:
            return {}
        decision = await self._usage.begin(caller, turn)
        if decision.refused_by == "parallel_turns":
            await asyncio.sleep(SECOND_TRY)
            decision = await self._usage.begin(caller, turn)
        if (refused_by := decision.refused_by) is not None:
            reached = f"Your limit of {REASONS[refused_by]} is reached: {getattr(caller, refused_by)}."
            raise CallerRateLimited(reached, retry_after=decision.wait, standings=decision.standings)
        return decision.standings

    def _end(self, name: str, turn: str) -> None:
        if self._usage is not None:
            self._usage.end(name, turn)


@asynccontextmanager
async def admitted(limits: CallerLimits | None, name: str) -> AsyncIterator[None]:
    """Hold the place of a turn of the caller `name`, if there are limits. Raises as `CallerLimits.admit` does."""
    if limits is None:
        yield
        return
    turn = await limits.admit(name)
    try:
        yield
    finally:
        turn.release()
