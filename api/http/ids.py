"""The ids that applications give to their users and sessions: they have to fit into a path and a database."""

from __future__ import annotations

MAX_ID = 256
"""Characters."""


def is_plain_id(value: str) -> bool:
    """Whether it is one: not blank, not too long, and nothing but printable characters without a slash.

    Clients resolve the dots of a path away.
    """
    fits = len(value) <= MAX_ID and "/" not in value and value.isprintable()
    return fits and bool(value.strip()) and value not in (".", "..")
