"""The headers with which OpenAI's API tells callers how they stand with their limits."""

from __future__ import annotations

from collections.abc import Mapping

from config.callers.standing import Limit, Standing


def rate_limit_headers(standings: Mapping[Limit, Standing]) -> dict[str, str]:
    """`x-ratelimit-limit-requests` and its like, for the limits that the caller has."""
    headers: dict[str, str] = {}
    for name, standing in standings.items():
        what = name.removesuffix("_per_minute")
        headers[f"x-ratelimit-limit-{what}"] = str(standing.limit)
        headers[f"x-ratelimit-remaining-{what}"] = str(standing.left)
        headers[f"x-ratelimit-reset-{what}"] = _duration(standing.reset)
    return headers


def _duration(seconds: float) -> str:
    """As OpenAI writes it: `8.64s`, `1m30s`."""
    minutes, rest = divmod(round(seconds, 2), 60)
    return f"{int(minutes)}m{rest:g}s" if minutes else f"{rest:g}s"
