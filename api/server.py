"""Listens and serves with uvicorn, in this process or in several workers, until a signal ends it.

The first SIGTERM or SIGINT refuses new connections and lets running turns finish within the drain time. A second one
ends the process at once.
"""

from __future__ import annotations

import math
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import FrameType
from typing import Any, Final

import structlog
import uvicorn
from uvicorn.config import STARTUP_FAILURE

from api.draining_server import DrainingServer
from api.workers import Workers
from config.settings import Settings

log = structlog.get_logger(__name__)

WORKER_TIMEOUT: Final = 30
"""Seconds in which a worker must show that it is alive, also while something holds Python's global lock."""

TIME_TO_CLOSE: Final = 3
"""Seconds after the drain time in which ended turns send their errors; then their tasks are cancelled."""


def serve(settings: Settings, sockets: Sequence[socket.socket], ready: Callable[[], None]) -> None:
    """Serve on `sockets` until a signal ends the server. `ready` is called once, when all workers answer.

    Exits with `STARTUP_FAILURE` if the server could not start.
    """
    config = uvicorn.Config(
        "api.app_factory:create_app_from_environment",
        factory=True,
        workers=settings.workers,
        **protocol_options(settings),
        timeout_worker_healthcheck=WORKER_TIMEOUT,
        timeout_graceful_shutdown=math.ceil(settings.drain_time) + TIME_TO_CLOSE,
    )
    if settings.workers > 1:
        with tempfile.TemporaryDirectory(prefix="switchboard-", dir=settings.metrics_dir) as shared:
            os.environ["SWITCHBOARD_METRICS_DIR"] = shared  # the workers read their settings from the environment
            workers = Workers(config, list(sockets), ready)
            workers.run()
        if workers.cannot_start:
            sys.exit(STARTUP_FAILURE)
        return
    server = _Server(config, ready)
    with suppress(KeyboardInterrupt):
        server.run(list(sockets))
    if not server.started:
        sys.exit(STARTUP_FAILURE)


def protocol_options(settings: Settings) -> dict[str, Any]:
    """What uvicorn is told of its connections and its logs, in every server of this app."""
    return {
        "http": "api.http.guarded_protocol:GuardedProtocol",
        "ws": "api.http.guarded_websocket:GuardedWebSocket",
        "ws_max_size": settings.max_body_bytes,
        "ws_per_message_deflate": False,
        "access_log": False,  # each turn logs its own line
        "server_header": False,
        "log_config": None,
    }


class _Server(DrainingServer):
    """The server of a single process."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().startup(sockets)
        except OSError as exc:
            # Another program has begun to listen on the port since it was bound.
            log.error("cannot_listen", problem=exc.strerror)
            await self.lifespan.shutdown()
            sys.exit(STARTUP_FAILURE)
        self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        log.info("stopping", effect="running turns may finish", second_signal="ends them at once")
        await super().shutdown(sockets)
        log.info("stopped")

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self.should_exit:
            signal.signal(sig, signal.SIG_DFL)
            signal.raise_signal(sig)
        super().handle_exit(sig, frame)
