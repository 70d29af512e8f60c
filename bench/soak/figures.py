"""What a process holds, as the system sees it: threads, file descriptors, sockets, memory."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median


@dataclass(frozen=True, slots=True)
class Holdings:
    """`descriptors` counts the sockets too; `memory` is resident, in MB."""

    threads: int
    descriptors: int
    sockets: int
    memory: float

    @classmethod
    def of(cls, pid: int) -> Holdings:
        """Raises OSError where there is no /proc, or no such process."""
        lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        targets = [_target(each) for each in Path(f"/proc/{pid}/fd").iterdir()]
        return cls(
            threads=int(lines["Threads"]),
            descriptors=len(targets),
            sockets=sum(target.startswith("socket:") for target in targets),
            memory=int(lines["VmRSS"].split()[0]) / 1024,
        )

    def leaked(self, before: Holdings) -> list[str]:
        """What there is more of now than before, in words. Memory is judged by its course, not here."""
        kinds = ("threads", "descriptors", "sockets")
        return [
            f"{kind}: {getattr(before, kind)} before, {getattr(self, kind)} after"
            for kind in kinds
            if getattr(self, kind) > getattr(before, kind)
        ]


def growth(samples: Sequence[float]) -> float:
    """By how much the last quarter of the samples is above the second one, in their unit.

    The first quarter is left out: caches fill, and the allocator takes what it will need.
    """
    quarter = len(samples) // 4
    if not quarter:
        return 0.0
    return median(samples[-quarter:]) - median(samples[quarter : 2 * quarter])


def _target(descriptor: Path) -> str:
    try:
        return os.readlink(descriptor)
    except OSError:  # closed while it was being looked at
        return ""
