"""The names of the fake models: those that answer, and one for each failure that they can simulate."""

from __future__ import annotations

NAMED_FAILURES = ("reset", "silent", "cut", "stall", "html", "empty", "error", "context", "filter")
_STATUSES = frozenset({400, 401, 403, 404, 408, 409, 422, 429, *range(500, 600)})
ANSWERING = ("echo", "assistant", "embedding")


def is_failure(kind: str) -> bool:
    """Whether `kind` is a named failure or the HTTP status of one."""
    return kind in NAMED_FAILURES or (kind.isascii() and kind.isdigit() and len(kind) == 3 and int(kind) in _STATUSES)
