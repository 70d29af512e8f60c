"""An event loop whose clock jumps to the next timer: a test of waiting neither waits nor depends on the machine."""

import asyncio
from collections.abc import Coroutine
from selectors import SelectSelector
from typing import Any, TypeVar

Result = TypeVar("Result")


class _JumpingSelector(SelectSelector):
    """Never sleeps: a wait of n seconds sets the clock n seconds on."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise RuntimeError("nothing will ever happen in this loop: a test waits for something that does not come")
        self.now += timeout
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """Only for code without sockets and threads: its `time()` is virtual."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


def run_virtually(main: Coroutine[Any, Any, Result]) -> Result:
    """Runs `main` to its end in virtual time, which begins at 0."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
