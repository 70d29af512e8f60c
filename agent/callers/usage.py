"""How much callers use now: their requests and tokens in the last minute, and their running turns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from config.callers.caller import Caller
from config.callers.standing import Limit, Standing


@dataclass(frozen=True, slots=True)
class UsageDecision:
    """Whether a turn may begin, and how its caller stands with its limits per minute.

    `refused_by` is the key of callers.yaml that does not allow it for `wait` seconds.
    """

    standings: Mapping[Limit, Standing]
    refused_by: Limit | None = None
    wait: float = 0.0


class CallerUsage(Protocol):
    """The usage of callers: of this process, or of all that share a Redis."""

    async def begin(self, caller: Caller, turn: str) -> UsageDecision:
        """Count a request and the running turn `turn`, unless a limit of the caller refuses them."""
        ...

    def end(self, caller: str, turn: str) -> None:
        """The turn no longer runs."""

    def count_tokens(self, caller: str, tokens: int) -> None:
        """Count tokens that a turn has used; only then they are known."""
