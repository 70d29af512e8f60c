"""Settings of Python's cyclic garbage collector: off during startup, and less frequent afterwards."""

from __future__ import annotations

import gc
from typing import Final

THRESHOLD: Final = 10_000
"""Net allocations before a collection. Python's default of 700 runs several times per turn: 5 % of its CPU time."""


def pause() -> None:
    """Turn collection off while modules are imported; it would take a quarter of the startup time."""
    gc.disable()


def resume() -> None:
    """Turn collection on again. Objects that exist now live as long as the process, so they are excluded for good."""
    gc.freeze()
    gc.set_threshold(THRESHOLD, 20, 10)
    gc.enable()
