"""When Python looks for garbage that reference counting leaves: not while modules are loaded, and seldom afterwards."""

from __future__ import annotations

import gc
from typing import Final

COLLECT_AFTER: Final = 10_000
"""Objects made and not freed. Python's own 700 come together several times in a turn: a twentieth of its CPU time."""


def pause() -> None:
    """Before what is imported: it stays, and going through it again and again took a quarter of the start."""
    gc.disable()


def resume() -> None:
    """Once everything is built, which lives as long as the process and is never looked through again."""
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER, 20, 10)
    gc.enable()
