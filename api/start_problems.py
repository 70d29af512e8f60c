"""What a server tells of a start that failed."""

from __future__ import annotations

import sys
from functools import partial

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from config.errors import ConfigError


class StartProblems:
    """Middleware: a start that fails because of a file or a setting is told as its problems, without a traceback.

    `switchboard serve` has checked them before. A worker that replaces another one finds what has changed since.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, partial(_tell, send) if scope["type"] == "lifespan" else send)


async def _tell(send: Send, message: Message) -> None:
    error = sys.exception()  # Starlette sends the message while it handles the error
    if message["type"] == "lifespan.startup.failed" and isinstance(error, ConfigError):
        message = {**message, "message": str(error)}
    await send(message)
