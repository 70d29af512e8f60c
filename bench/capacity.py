"""Search for the greatest number of concurrent streams that a server sustains."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

FIRST_ATTEMPT = 32
MAX_STREAMS = 1024


async def find_capacity(
    sustains: Callable[[int], Awaitable[bool]], first: int = FIRST_ATTEMPT, maximum: int = MAX_STREAMS
) -> int:
    """Return the greatest sustained number, accurate to one eighth; 0 if the server does not sustain a single stream.

    A number fails only after two failed attempts, so that one disturbance of the machine does not end the search.
    """

    async def confirmed(callers: int) -> bool:
        return await sustains(callers) or await sustains(callers)

    low, high = 0, maximum + 1
    callers = min(first, maximum)
    while True:
        if await confirmed(callers):
            low = callers
        else:
            high = callers
        if high - low <= max(1, low // 8):
            return low
        if low and high > maximum:
            callers = min(low * 2, maximum)
        elif not low:
            callers = high // 2
        else:
            callers = (low + high) // 2
