from pathlib import Path

import pytest

from agent.tasks.celery_queue import celery_app

OUTAGE = 200
"""Attempts: an hour and a half, since Celery waits for up to 30 seconds between two of them."""


class StillTrying(Exception):
    pass


def test_a_worker_does_not_give_up_when_redis_is_away_for_long(tmp_path: Path) -> None:
    app = celery_app(f"unix://{tmp_path}/nobody.sock", concurrency=1)
    attempts = 0

    def failed(_: Exception, __: float) -> None:
        nonlocal attempts
        attempts += 1
        if attempts > OUTAGE:
            raise StillTrying

    at_once = {"interval_start": 0, "interval_step": 0, "interval_max": 0}
    with app.connection_for_read() as connection, pytest.raises(StillTrying):
        connection.ensure_connection(
            failed, app.conf.broker_connection_max_retries, **at_once
        )  # as Celery's consumer does
