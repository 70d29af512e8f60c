"""The timing of a fake answer, as part of the model name: `fake-ok?first=200ms&gap=20ms&tokens=64`."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass

MAX_TOKENS = 10_000
MAX_SECONDS = 3600.0
_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(ms|s)|0")


@dataclass(frozen=True, slots=True)
class ResponseTiming:
    """`first` is the time to the first token and `gap` the time between tokens, both in seconds. `tokens` is the length
    of the answer; None keeps the default.
    """

    first: float = 0.0
    gap: float = 0.0
    tokens: int | None = None

    @property
    def immediate(self) -> bool:
        """Whether there is no delay."""
        return not self.first and not self.gap


class TokenTimer:
    """Waits until tokens are due. Due times count from the start, so that one late token does not delay the others."""

    def __init__(self, timing: ResponseTiming) -> None:
        self._loop = asyncio.get_running_loop()
        self._gap = timing.gap
        self._due = self._loop.time() + timing.first

    async def wait_for_token(self) -> None:
        """Wait until the next token is due. Always yields to other tasks."""
        delay = self._due - self._loop.time()
        self._due += self._gap
        await asyncio.sleep(max(0.0, delay))

    async def pause(self, seconds: float) -> None:
        """Wait, and delay all following tokens by the same time."""
        self._due = max(self._due, self._loop.time()) + seconds
        await asyncio.sleep(seconds)


def split_timing(name: str) -> tuple[str, ResponseTiming]:
    """Split a model name from its timing. Raises ValueError, which names the invalid part."""
    model, _, query = name.partition("?")
    if not model:
        raise ValueError(f"{name!r}: the model name before '?' is missing")
    given: dict[str, str] = {}
    for part in query.split("&") if query else ():
        key, equals, value = part.partition("=")
        if key not in ("first", "gap", "tokens"):
            raise ValueError(f"{name!r}: unknown setting {key!r}; a timing has first, gap and tokens")
        if not equals:
            raise ValueError(f"{name!r}: {key} has no value, as in {key}={'64' if key == 'tokens' else '200ms'}")
        if key in given:
            raise ValueError(f"{name!r}: {key} is given twice")
        given[key] = value
    try:
        return model, ResponseTiming(
            first=duration(given.get("first", "0")),
            gap=duration(given.get("gap", "0")),
            tokens=token_count(given["tokens"]) if "tokens" in given else None,
        )
    except ValueError as exc:
        raise ValueError(f"{name!r}: {exc}") from None


def duration(text: str) -> float:
    """Seconds in `200ms`, `1.5s` or `0`. Raises ValueError."""
    match = _DURATION.fullmatch(text)
    if match is None or not text.isascii():
        raise ValueError(f"{text!r} is not a duration; write it as 200ms, 1.5s or 0")
    if match[1] is None:
        return 0.0
    seconds = float(match[1]) / (1000 if match[2] == "ms" else 1)
    if seconds > MAX_SECONDS:
        raise ValueError(f"{text!r} is longer than an hour")
    return seconds


def token_count(text: str) -> int:
    """A number of tokens. Raises ValueError."""
    if not (text.isascii() and text.isdigit() and len(text) <= 6 and 1 <= int(text) <= MAX_TOKENS):
        raise ValueError(f"the number of tokens must be a whole number from 1 to {MAX_TOKENS}")
    return int(text)
