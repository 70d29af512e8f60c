"""Switchboard with a sampling profiler: `python -m bench.sampler FILE serve --port ...`.

SIGUSR1 starts sampling. SIGUSR2 stops it and writes FILE: a JSON list of [stack, number of samples].

The interval timer counts CPU time, so waiting is not sampled. The signal handler runs in the main thread, so no second
thread competes for the interpreter lock.
"""

from __future__ import annotations

import json
import signal
import sys
from collections import Counter
from pathlib import Path
from types import FrameType

from api.cli import main

INTERVAL = 0.001
"""Seconds of CPU time between two samples."""


class Sampler:
    """Counts stacks. A stack is the source files of its frames, innermost first."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._stacks: Counter[tuple[str, ...]] = Counter()

    def install(self) -> None:
        """Install the signal handlers. Call it from the main thread."""
        signal.signal(signal.SIGPROF, self._sample)
        signal.signal(signal.SIGUSR1, self._start)
        signal.signal(signal.SIGUSR2, self._stop)

    def _start(self, *_: object) -> None:
        self._stacks.clear()
        signal.setitimer(signal.ITIMER_PROF, INTERVAL, INTERVAL)

    def _sample(self, _: int, frame: FrameType | None) -> None:
        files = []
        while frame is not None:
            files.append(frame.f_code.co_filename)
            frame = frame.f_back
        self._stacks[tuple(files)] += 1

    def _stop(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)
        unfinished = self._file.with_suffix(".part")
        unfinished.write_text(json.dumps(list(self._stacks.items())))
        unfinished.rename(self._file)


if __name__ == "__main__":
    Sampler(Path(sys.argv.pop(1))).install()
    main()
