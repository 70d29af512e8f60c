"""How a caller stands with its limits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Limit = Literal["requests_per_minute", "tokens_per_minute", "parallel_turns"]
"""The keys of callers.yaml that limit usage."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How much of a `limit` per minute is `left`, and the seconds until all of it is."""

    limit: int
    left: int
    reset: float
