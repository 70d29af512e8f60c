"""Headers that tell browsers what they may do with a response. Every response has them.

A response that sets one of them itself keeps its own, such as the content security policy of a page.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

NO_PAGE: Final = "default-src 'none'; frame-ancestors 'none'"
"""The content security policy of an answer that is no page: should a browser show it, nothing in it runs."""

HEADERS: Final[Mapping[str, str]] = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "content-security-policy": NO_PAGE,
    "cross-origin-resource-policy": "same-origin",
    # Most answers hold what somebody said. What may be kept says so itself.
    "cache-control": "no-store",
}

_ENCODED: Final = tuple((name.encode(), value.encode()) for name, value in HEADERS.items())


def page_headers(content_security_policy: str) -> dict[str, str]:
    """The headers of a page and of its files, which browsers may keep and check each time."""
    return {
        "content-security-policy": content_security_policy,
        "cross-origin-opener-policy": "same-origin",
        # So that a new version is never mixed with an old one.
        "cache-control": "no-cache",
    }


class SecurityHeaders:
    """Pure ASGI middleware, because every chunk passes through it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = list(message.get("headers", ()))
                names = {name for name, _ in given}
                message["headers"] = given + [each for each in _ENCODED if each[0] not in names]
            await send(message)

        await self._app(scope, receive, send_with_headers)
