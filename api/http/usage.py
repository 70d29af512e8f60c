"""A turn's usage as Switchboard's own APIs write it."""

from __future__ import annotations

from agent.events import Usage


def usage_fields(usage: Usage) -> dict[str, int | float | None]:
    """`total_cost` is in US dollars; None if it is not known."""
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
        "total_cost": usage.cost,
    }
