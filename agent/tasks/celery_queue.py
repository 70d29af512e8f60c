"""The queue on Celery and Redis, for worker processes."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Sequence
from typing import Final, TypeVar
from urllib.parse import parse_qs, urlsplit

import structlog
from celery import Celery
from kombu.exceptions import KombuError
from redis.exceptions import RedisError

from config.errors import ConfigError, Problem, QueueUnavailable

log = structlog.get_logger(__name__)

T = TypeVar("T")

QUEUE: Final = "tasks"
RUN_TASK: Final = "switchboard.run_task"
KEY_PREFIX: Final = "switchboard:celery:"

TIMEOUT: Final = 2.0
"""Seconds to wait for Redis: to connect, and for each answer. A caller waits meanwhile."""

RETRY: Final = {"max_retries": 1, "interval_start": 0.0, "interval_step": 0.0}
"""A pooled connection may have died with an earlier Redis."""

POLL_INTERVAL: Final = 0.5
"""Seconds between two attempts to reach Redis at the start."""

VISIBILITY_TIMEOUT: Final = 600
"""Seconds after which Redis delivers the message of a dead worker again. The lease of its task has lapsed long before,
so that another worker has the task by then."""


class CeleryQueue:
    """Sends the ids to the workers through `app`. Celery's client blocks, so it runs in threads."""

    def __init__(self, app: Celery) -> None:
        self._app = app

    async def send(self, task_ids: Sequence[str]) -> None:
        await _in_thread(lambda: self._send(task_ids))

    async def is_empty(self) -> bool:
        return await _in_thread(self._count) == 0

    def _send(self, task_ids: Sequence[str]) -> None:
        with self._app.producer_pool.acquire(block=True, timeout=TIMEOUT) as producer:
            for task_id in task_ids:
                self._app.send_task(RUN_TASK, [task_id], queue=QUEUE, producer=producer, retry_policy=RETRY)

    def _count(self) -> int:
        with self._app.pool.acquire(block=True, timeout=TIMEOUT) as connection:
            # Not passive: a queue that nobody has used yet is declared, and is empty.
            return int(connection.default_channel.queue_declare(QUEUE).message_count)


def celery_app(redis_url: str, concurrency: int) -> Celery:
    """The Celery app of the servers and the workers. It connects on first use."""
    app = Celery("switchboard", broker=_broker_url(redis_url), set_as_current=False)
    app.conf.update(
        accept_content=["json"],
        task_serializer="json",
        task_default_queue=QUEUE,
        # The database has the results: they outlive a flushed Redis, and are deleted after SWITCHBOARD_TASK_TTL.
        task_ignore_result=True,
        result_backend=None,
        # A message stays with Redis until its task has ended.
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        # The turns wait for providers in one event loop; a thread only waits for its turn.
        worker_pool="threads",
        worker_concurrency=concurrency,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_enable_remote_control=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,  # else the worker exits after 100, in less than an hour
        broker_transport_options={
            "global_keyprefix": KEY_PREFIX,
            "visibility_timeout": VISIBILITY_TIMEOUT,
            "socket_timeout": TIMEOUT,
            "socket_connect_timeout": TIMEOUT,
            "max_retries": 0,  # a caller waits for the answer, and gets a 503
        },
    )
    if redis_url.startswith("rediss:"):
        app.conf.broker_use_ssl = {"ssl_cert_reqs": ssl.CERT_REQUIRED}
    return app


async def wait_for_broker(redis_url: str, timeout: float) -> None:
    """Wait until Redis answers. Raises ConfigError if it did not within `timeout` seconds."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout
    queue, logged = CeleryQueue(celery_app(redis_url, concurrency=1)), False
    while True:
        try:
            await queue.is_empty()
            return
        except QueueUnavailable as exc:
            if loop.time() >= deadline:
                problem = f"Redis cannot be reached: {exc.__cause__}"
                raise ConfigError([Problem(problem, key="SWITCHBOARD_REDIS_URL")]) from exc
            if not logged:
                log.warning("waiting_for_redis", seconds=timeout, reason=str(exc.__cause__))
                logged = True
        await asyncio.sleep(min(POLL_INTERVAL, max(0.0, deadline - loop.time())))


def _broker_url(redis_url: str) -> str:
    """The URL as Celery writes it: a unix socket has another scheme there."""
    parts = urlsplit(redis_url)
    if parts.scheme != "unix":
        return redis_url
    number = parse_qs(parts.query).get("db", ["0"])[0]
    return f"redis+socket://{parts.path}?virtual_host={number}"


async def _in_thread(call: Callable[[], T]) -> T:
    try:
        return await asyncio.to_thread(call)
    except (KombuError, RedisError, OSError) as exc:
        raise QueueUnavailable from exc
