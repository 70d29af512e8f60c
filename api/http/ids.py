"""Ids of users and sessions, chosen by applications; they must fit into a URL path and a database."""

from __future__ import annotations

MAX_ID = 256
"""Maximum length in characters."""


def is_valid_id(value: str) -> bool:
    """Whether `value` is not blank, not too long, printable and without a slash.

    "." and ".." are not valid, because clients remove them from a path.
    """
    fits = len(value) <= MAX_ID and "/" not in value and value.isprintable()
    return fits and bool(value.strip()) and value not in (".", "..")
