"""For `celery -A api.worker_app worker`: the attribute `app` is a worker's Celery app.

It is built on first access, from the environment and `.env`, because `-A` names a module and passes no settings.
`switchboard worker` does the same, and checks the files, the database and Redis first.
"""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING, Any

from config.litellm_environment import prepare_litellm

if TYPE_CHECKING:
    from celery import Celery


@cache
def worker_app() -> Celery:
    """The one app of this process. Raises ConfigError."""
    prepare_litellm()
    from api.worker_process import create_worker_app
    from config.settings import load_environment, load_settings

    os.environ.update(load_environment())  # LiteLLM reads some variables itself
    return create_worker_app(load_settings())


def __getattr__(name: str) -> Any:
    if name == "app":
        return worker_app()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
