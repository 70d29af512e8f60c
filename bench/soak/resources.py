"""The resources of a process: threads, file descriptors, sockets, memory."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ProcessResources:
    """`descriptors` includes sockets; `memory` is resident memory in MB."""

    threads: int
    descriptors: int
    sockets: int
    memory: float

    @classmethod
    def of(cls, pid: int) -> ProcessResources:
        """Read them from /proc. Raises OSError if there is no /proc or no such process."""
        lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        targets = [_link_target(each) for each in Path(f"/proc/{pid}/fd").iterdir()]
        return cls(
            threads=int(lines["Threads"]),
            descriptors=len(targets),
            sockets=sum(target.startswith("socket:") for target in targets),
            memory=int(lines["VmRSS"].split()[0]) / 1024,
        )

    def leaks_since(self, before: ProcessResources) -> list[str]:
        """Describe what has grown. Memory is not compared: its growth over time tells more."""
        kinds = ("threads", "descriptors", "sockets")
        return [
            f"{kind}: {getattr(before, kind)} before, {getattr(self, kind)} after"
            for kind in kinds
            if getattr(self, kind) > getattr(before, kind)
        ]


def _link_target(descriptor: Path) -> str:
    try:
        return os.readlink(descriptor)
    except OSError:  # closed since the listing
        return ""
