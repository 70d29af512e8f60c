"""The parent process of several workers, with uvicorn: starts them, replaces those that die or hang, and ends them."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Callable
from functools import cached_property
from typing import Final

import structlog
import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess
from uvicorn.supervisors.multiprocess import Process

from api.draining_server import DrainingServer

log = structlog.get_logger(__name__)

READY_TIMEOUT: Final = 1.0
"""Seconds in which a worker says whether it is ready; one that imports is slow to answer and is asked again."""

START_TIMEOUT: Final = 180.0
"""Seconds in which a worker must be ready. On a busy machine importing takes half a minute."""

POLL_INTERVAL: Final = 0.1
"""Seconds between two looks at whether a worker has started or ended."""

RESTART_INTERVAL: Final = 10.0
"""Seconds between two starts of a worker that cannot start, such as while models.yaml is invalid."""

ENDING_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class Worker(Process):
    """A worker process, which takes a second signal for a repetition of the first."""

    def __init__(self, config: uvicorn.Config, sockets: list[socket.socket]) -> None:
        super().__init__(config, sockets)
        self.has_started = False
        self.started_at = time.monotonic()

    @cached_property
    def server(self) -> uvicorn.Server:
        return DrainingServer(self.config)

    def is_alive(self, timeout: float = 5) -> bool:
        """Whether it shows within `timeout` seconds that it is alive. While it starts, it may take longer."""
        if self.has_started:
            return super().is_alive(timeout)
        self.has_started = self.process.is_alive() and self.is_ready(READY_TIMEOUT)
        return self.process.is_alive() and (self.has_started or self.age < START_TIMEOUT)

    @property
    def age(self) -> float:
        """Seconds since its start."""
        return time.monotonic() - self.started_at


class Workers(Multiprocess):
    """Calls `ready` once, when all workers answer. If one cannot start before that, all end, and `cannot_start` is set.

    Later, the others go on, and it is started again and again.
    """

    processes: list[Worker]  # type: ignore[assignment]

    def __init__(self, config: uvicorn.Config, sockets: list[socket.socket], ready: Callable[[], None]) -> None:
        super().__init__(config, sockets)
        self._ready: Callable[[], None] | None = ready
        self.cannot_start = False

    def init_processes(self) -> None:
        self.processes.extend(self._start_worker() for _ in range(self.processes_num))

    def keep_subprocess_alive(self) -> None:
        for at, worker in enumerate(self.processes):
            if self.should_exit.is_set() or self._is_asked_to_end():
                return
            if not worker.is_alive(self.config.timeout_worker_healthcheck):
                self._replace(at)
        if self._ready is not None and all(each.has_started for each in self.processes):
            self._ready()
            self._ready = None

    def restart_all(self) -> None:
        """Replace the workers one by one, each when its successor is ready. An ending signal stops this."""
        for at, old in enumerate(self.processes):
            new = self._start_worker()
            if not self._starts_in_time(new):
                new.kill()
                new.join()
                if not self._is_asked_to_end():
                    log.error("worker_not_replaced", pid=old.pid, effect="the others go on as they are")
                return
            self.processes[at] = new
            old.terminate()
            while old.process.is_alive():
                if self._is_asked_to_end():
                    self.processes.append(old)  # it may finish its turns, as the others
                    return
                time.sleep(POLL_INTERVAL)

    def handle_ttin(self) -> None:
        self.processes_num += 1
        self.processes.append(self._start_worker())

    def terminate_all(self) -> None:
        log.info("stopping", effect="running turns may finish", second_signal="ends them at once")
        for listener in self.sockets:
            listener.close()  # otherwise clients could still connect, and nobody would answer
        super().terminate_all()

    def join_all(self) -> None:
        self.signal_queue.clear()
        while any(each.process.is_alive() for each in self.processes):
            if self._is_asked_to_end():
                for each in self.processes:
                    each.kill()
                break
            time.sleep(POLL_INTERVAL)
        super().join_all()
        log.info("stopped")

    def _is_asked_to_end(self) -> bool:
        """Whether a signal that ends the server waits to be handled."""
        return any(each in ENDING_SIGNALS for each in self.signal_queue)

    def _starts_in_time(self, worker: Worker) -> bool:
        while worker.age < START_TIMEOUT and worker.process.is_alive() and not self._is_asked_to_end():
            if worker.is_ready(READY_TIMEOUT):
                return True
            time.sleep(POLL_INTERVAL)
        return False

    def _replace(self, at: int) -> None:
        old = self.processes[at]
        old.kill()
        old.join()
        if old.exitcode == STARTUP_FAILURE:
            if self._ready is not None:
                self.cannot_start = True
                self.should_exit.set()
                return
            if old.age < RESTART_INTERVAL:
                return
        new = self.processes[at] = self._start_worker()
        log.warning("worker_replaced", pid=old.pid, exit_code=old.exitcode, by=new.pid)

    def _start_worker(self) -> Worker:
        worker = Worker(self.config, self.sockets)
        worker.start()
        return worker
