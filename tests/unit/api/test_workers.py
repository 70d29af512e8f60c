"""Workers that hang while they start, or cannot start."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator

import pytest
import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors.multiprocess import SIGNALS

from api.workers import RESTART_INTERVAL, START_TIMEOUT, Worker, Workers


def hangs() -> None:
    """An application that is never created."""
    threading.Event().wait()


def fails() -> None:
    raise SystemExit(STARTUP_FAILURE)


@pytest.fixture
def workers() -> Iterator[Workers]:
    """Two that hang."""
    handlers = {each: signal.getsignal(each) for each in SIGNALS}
    config = uvicorn.Config(f"{__name__}:hangs", factory=True, workers=2)
    workers = Workers(config, [], lambda: None)
    for signum, handler in handlers.items():
        signal.signal(signum, handler)
    workers.init_processes()
    yield workers
    for each in workers.processes:
        each.kill()
        each.join()


def failing_successor(workers: Workers) -> None:
    """The first worker dies, and the one that takes its place cannot start."""
    workers.config.app = f"{__name__}:fails"
    workers.processes[0].kill()
    workers.processes[0].join()
    workers.keep_subprocess_alive()
    workers.processes[0].join()
    assert workers.processes[0].exitcode == STARTUP_FAILURE


def test_a_worker_that_hangs_at_its_start_is_replaced_once_its_time_is_over(workers: Workers) -> None:
    hanging, starting = workers.processes
    hanging.started_at -= START_TIMEOUT
    workers.keep_subprocess_alive()
    assert hanging.exitcode == -signal.SIGKILL
    successor, other = workers.processes
    assert other is starting and other.exitcode is None
    assert successor is not hanging and successor.exitcode is None


def test_a_restart_replaces_each_worker(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Worker, "is_ready", lambda *_: True)
    old = list(workers.processes)
    workers.restart_all()
    assert not set(old) & set(workers.processes)
    assert all(each.exitcode is not None for each in old)
    assert all(each.exitcode is None for each in workers.processes)


def test_a_worker_whose_successor_does_not_start_in_the_time_of_a_start_goes_on(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    ages: list[float] = []

    def is_ready(worker: Worker, _: float) -> bool:
        ages.append(worker.age)
        worker.started_at -= START_TIMEOUT / 2
        return False

    monkeypatch.setattr(Worker, "is_ready", is_ready)
    old = list(workers.processes)
    workers.restart_all()
    assert len(ages) == 2
    assert workers.processes == old
    assert all(each.exitcode is None for each in old)


def test_a_signal_ends_the_server_while_a_successor_starts(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    def is_ready(*_: object) -> bool:
        workers.signal_queue.append(signal.SIGTERM)
        return False

    monkeypatch.setattr(Worker, "is_ready", is_ready)
    old = list(workers.processes)
    workers.restart_all()
    workers.keep_subprocess_alive()
    assert workers.processes == old
    assert all(each.exitcode is None for each in old)


def test_a_signal_ends_the_server_while_an_old_worker_finishes_its_turns(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    def terminate(worker: Worker) -> None:  # it has turns, and goes on
        worker.parent_conn.close()
        workers.signal_queue.append(signal.SIGTERM)

    monkeypatch.setattr(Worker, "is_ready", lambda *_: True)
    monkeypatch.setattr(Worker, "terminate", terminate)
    old, other = workers.processes
    workers.restart_all()
    workers.keep_subprocess_alive()
    assert workers.processes[1:] == [other, old]
    assert all(each.exitcode is None for each in workers.processes)


def test_all_end_if_one_cannot_start_at_first(workers: Workers) -> None:
    failing_successor(workers)
    workers.keep_subprocess_alive()
    assert workers.should_exit.is_set() and workers.cannot_start


def test_the_others_go_on_if_one_cannot_start_later_and_it_is_started_again_after_a_while(workers: Workers) -> None:
    for each in workers.processes:
        each.has_started = True
    workers.keep_subprocess_alive()
    failing_successor(workers)
    failed = workers.processes[0]
    workers.keep_subprocess_alive()
    assert workers.processes[0] is failed and not workers.should_exit.is_set()
    failed.started_at -= RESTART_INTERVAL
    workers.keep_subprocess_alive()
    assert workers.processes[0] is not failed and not workers.should_exit.is_set()
    assert workers.processes[1].exitcode is None
