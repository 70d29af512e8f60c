"""What a Celery worker refuses before it takes a task."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from celery.concurrency import get_implementation
from pydantic import SecretStr

from api import worker_process
from api.worker_process import WorkerProcess, create_worker_app
from config.errors import ConfigError
from config.settings import Settings

REDIS = SecretStr("redis://127.0.0.1:1")


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[WorkerProcess]:
    """The processes that were started."""
    processes: list[WorkerProcess] = []
    monkeypatch.setattr(WorkerProcess, "start", lambda process: processes.append(process))
    return processes


def start_with(pool: str) -> None:
    app = create_worker_app(Settings(task_queue="celery", redis_url=REDIS, _env_file=None))
    (step,) = (each for each in app.steps["worker"] if each.__module__ == worker_process.__name__)
    worker: Any = SimpleNamespace(pool_cls=get_implementation(pool))
    step(worker).start(worker)


def test_a_worker_to_which_no_task_would_come_is_refused() -> None:
    with pytest.raises(ConfigError, match="SWITCHBOARD_TASK_QUEUE: must be celery"):
        create_worker_app(Settings(redis_url=REDIS, _env_file=None))


@pytest.mark.parametrize("pool", ["threads", "solo"])
def test_pools_that_only_wait_start_the_process(pool: str, started: list[WorkerProcess]) -> None:
    start_with(pool)
    assert len(started) == 1


def test_a_pool_that_forks_is_refused(started: list[WorkerProcess]) -> None:
    with pytest.raises(SystemExit):
        start_with("prefork")
    assert not started
