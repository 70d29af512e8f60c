"""What a request holds while it runs, such as a place among the parallel turns, and gives back when it has ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from fastapi import Request
from starlette.types import ASGIApp, Receive, Scope, Send

_RELEASES: Final = "switchboard.releases"


def release_at_end(request: Request, release: Callable[[], None]) -> None:
    """Call `release` when the response has been sent, or the caller has hung up."""
    request.scope[_RELEASES].append(release)


class Held:
    """Pure ASGI middleware, because a stream holds its place until its last chunk."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        releases: list[Callable[[], None]] = []
        scope[_RELEASES] = releases
        try:
            await self._app(scope, receive, send)
        finally:
            for release in releases:
                release()
