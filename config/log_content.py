"""Whether log lines may quote content: what callers, models, tools and providers say. Off unless it is switched on.

The switch is the level of a logger of the standard library, which a program sets once, beside its other loggers.
"""

from __future__ import annotations

import logging
from typing import Final

SETTING: Final = "SWITCHBOARD_LOG_CONTENT"

_SWITCH: Final = logging.getLogger("switchboard.content")
_OFF: Final = logging.CRITICAL + 1

_SWITCH.setLevel(_OFF)


def allow_content(allowed: bool) -> None:
    """Allow content in log lines, or forbid it."""
    _SWITCH.setLevel(logging.DEBUG if allowed else _OFF)


def logs_content() -> bool:
    """Whether log lines may quote content."""
    return _SWITCH.isEnabledFor(logging.INFO)


def quoted(text: str) -> str | None:
    """`text` for a log line; None if lines may not quote content."""
    return text or None if logs_content() else None
