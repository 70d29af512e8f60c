"""Workers that hang while they start."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator

import pytest
import uvicorn
from uvicorn.supervisors.multiprocess import SIGNALS

from api.workers import Workers


def hangs() -> None:
    """An application that is never created."""
    threading.Event().wait()


@pytest.fixture
def workers() -> Iterator[Workers]:
    handlers = {each: signal.getsignal(each) for each in SIGNALS}
    config = uvicorn.Config(f"{__name__}:{hangs.__name__}", factory=True, workers=2)
    workers = Workers(config, [], lambda: pytest.fail("no worker can be ready"))
    for signum, handler in handlers.items():
        signal.signal(signum, handler)
    workers.init_processes()
    yield workers
    for each in workers.processes:
        each.kill()
        each.join()


def test_a_worker_that_hangs_at_its_start_is_replaced_once_its_time_is_over(workers: Workers) -> None:
    hanging, starting = workers.processes
    hanging.start_deadline = 0
    workers.keep_subprocess_alive()
    assert hanging.exitcode == -signal.SIGKILL
    successor, other = workers.processes
    assert other is starting and other.exitcode is None
    assert successor is not hanging and successor.exitcode is None
