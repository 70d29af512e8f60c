"""Whole numbers of requests. In JSON, 60 and 60.0 are the same number."""

from __future__ import annotations

from typing import Any


def whole(value: Any) -> Any:
    """A validator before that of a strict `int`, which takes no float."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
