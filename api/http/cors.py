"""CORS: which web pages of other origins may call the API. Off unless SWITCHBOARD_CORS_ORIGINS lists them.

Callers are known by a token that a page has to send itself, never by a cookie. So credentials in the sense of CORS are
never allowed, and `*` gives no page more than it could get without a browser.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")

READABLE: Final = (
    "x-request-id",
    "x-switchboard-model",
    "x-switchboard-deployment",
    "x-switchboard-attempts",
    "x-switchboard-overhead-ms",
    "x-switchboard-superseded",
    "x-switchboard-shape",
    "x-should-retry",
    "retry-after",
)
"""Response headers that scripts of a page may read."""


def with_cors(app: ASGIApp, origins: Sequence[str]) -> ASGIApp:
    """`app`, for pages of `origins` too; `app` itself if there are none."""
    if not origins:
        return app
    # All request headers: the clients of OpenAI send a dozen of their own.
    return CORSMiddleware(
        app, allow_origins=origins, allow_methods=METHODS, allow_headers=("*",), expose_headers=READABLE
    )
