"""The search for the greatest number of paced streams that a server holds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

FIRST = 32
MOST = 1024


async def most_held(holds: Callable[[int], Awaitable[bool]], first: int = FIRST, most: int = MOST) -> int:
    """The greatest number that is held, within an eighth of it; 0 when not even one stream is, at most `most`.

    A number fails when it failed twice, one try after the other: a hiccup of the machine must not end the search.
    """

    async def held(callers: int) -> bool:
        return await holds(callers) or await holds(callers)

    low, high = 0, most + 1
    tried = min(first, most)
    while True:
        if await held(tried):
            low = tried
        else:
            high = tried
        if high - low <= max(1, low // 8):
            return low
        if low and high > most:
            tried = min(low * 2, most)
        elif not low:
            tried = high // 2
        else:
            tried = (low + high) // 2
