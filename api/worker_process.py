"""A Celery worker: its components live in one event loop, in a thread of their own.

Celery's threads only wait. One loop runs all turns, so that cancelling, draining and the shared connections work as in
a server. For more CPU time, start more workers.
"""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from concurrent.futures import Future
from typing import Any, Final

import structlog
from celery import Celery, bootsteps
from celery.concurrency import get_implementation
from celery.signals import setup_logging

from agent.tasks.celery_queue import RUN_TASK, CeleryQueue, celery_app
from agent.tasks.lifespan import Tasks
from api import garbage_collection
from api.components import open_components
from api.log import configure_logging
from api.tasks.lifespan import components_tasks
from api.tracing.switch import open_tracing
from config.errors import StorageUnavailable, SwitchboardError
from config.settings import Settings, queue_url, require_worker_queue

log = structlog.get_logger(__name__)

POOLS: Final = ("threads", "solo")
"""Celery's pools in which the worker can run: the others would fork or patch a process with an event loop."""


class WorkerProcess:
    """The components of one worker process, between `start` and `stop`."""

    def __init__(self, settings: Settings, celery: Celery) -> None:
        self._settings = settings
        self._celery = celery
        self._started: Future[tuple[asyncio.AbstractEventLoop, Tasks]] = Future()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run_loop, name="worker loop")

    def start(self) -> None:
        """Return once the components are built. Raises as `open_components` does."""
        self._thread.start()
        self._started.result()

    def run(self, task_id: str) -> None:
        """Run the task, and wait for its end."""
        loop, tasks = self._started.result()
        try:
            asyncio.run_coroutine_threadsafe(tasks.runner.run(task_id), loop).result()
        except StorageUnavailable:
            pass  # already logged; the task is sent again

    def stop(self) -> None:
        """Let the running tasks finish within the drain time, hand back the others, and close the components."""
        if self._started.done() and self._started.exception() is None:
            loop, _ = self._started.result()
            loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def _run_loop(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as exc:
            if self._started.done():
                raise
            self._started.set_exception(exc)

    async def _serve(self) -> None:
        async with (
            open_components(self._settings, open_tracing(os.environ)) as components,
            components_tasks(self._settings, components, CeleryQueue(self._celery)) as tasks,
        ):
            garbage_collection.resume()
            self._started.set_result((asyncio.get_running_loop(), tasks))
            log.info("worker_ready", concurrency=self._settings.task_concurrency)
            await self._stop.wait()
            await tasks.runner.drain(self._settings.drain_time, components.turns.stop)


def create_worker_app(settings: Settings) -> Celery:
    """The Celery app of a worker. Its components are built when the worker starts.

    Raises:
        ConfigError: the servers send no tasks to Celery, or there is no Redis.
    """
    require_worker_queue(settings)
    app = celery_app(queue_url(settings), settings.task_concurrency)
    process = WorkerProcess(settings, app)

    @app.task(name=RUN_TASK)  # type: ignore[untyped-decorator]  # Celery has no types
    def run_task(task_id: str) -> None:
        process.run(task_id)

    class ProcessStep(bootsteps.StartStopStep):  # type: ignore[misc]
        """Starts after Celery's pool and stops before it, when Celery takes no more tasks."""

        requires = ("celery.worker.components:Pool",)

        def create(self, _: Any) -> WorkerProcess:
            return process  # Celery stops it, also when it quits

        def start(self, worker: Any) -> None:
            if worker.pool_cls not in map(get_implementation, POOLS):
                _refuse(f"the pool must be {' or '.join(POOLS)}: leave out --pool")
            try:
                process.start()
            except SwitchboardError as exc:
                _refuse(str(exc))

    @setup_logging.connect(weak=False)  # type: ignore[untyped-decorator]
    def use_our_format(**_: Any) -> None:
        configure_logging(settings.log_level, as_json=settings.log_json, log_content=settings.log_content)

    app.steps["worker"].add(ProcessStep)
    return app


def serve_tasks(settings: Settings) -> int:
    """Run a worker until a signal ends it; returns the exit code. Raises as `create_worker_app` does."""
    app = create_worker_app(settings)
    worker = app.Worker(
        hostname=f"switchboard-{os.getpid()}@{socket.gethostname()}",
        quiet=True,
        without_gossip=True,
        without_heartbeat=True,
        without_mingle=True,
    )
    worker.start()
    return int(worker.exitcode or 0)


def _refuse(problem: str) -> None:
    log.error("worker_cannot_start", problem=problem)
    raise SystemExit(1)
