"""Switchboard with a sampler: `python -m bench.sampled FILE serve --port ...`.

SIGUSR1 begins to sample and SIGUSR2 ends it and writes FILE: a list of stacks, each with how often it was met. The
clock is the CPU time of the process, so that waiting does not count, and a handler in the main thread looks at the
stack, so that no second thread competes for the interpreter.
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
"""Seconds of CPU time from one sample to the next."""


class Sampler:
    """Counts the stacks that it meets; a stack is its source files, from the inside out."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._stacks: Counter[tuple[str, ...]] = Counter()

    def install(self) -> None:
        """Listen for the three signals; only in the main thread."""
        signal.signal(signal.SIGPROF, self._sample)
        signal.signal(signal.SIGUSR1, self._begin)
        signal.signal(signal.SIGUSR2, self._end)

    def _begin(self, *_: object) -> None:
        self._stacks.clear()
        signal.setitimer(signal.ITIMER_PROF, INTERVAL, INTERVAL)

    def _sample(self, _: int, frame: FrameType | None) -> None:
        files = []
        while frame is not None:
            files.append(frame.f_code.co_filename)
            frame = frame.f_back
        self._stacks[tuple(files)] += 1

    def _end(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)
        unfinished = self._file.with_suffix(".part")
        unfinished.write_text(json.dumps(list(self._stacks.items())))
        unfinished.rename(self._file)


if __name__ == "__main__":
    Sampler(Path(sys.argv.pop(1))).install()
    main()
