"""The page that browsers get at `/`, and its files: all from this server."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from starlette.datastructures import Headers
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Mount
from starlette.staticfiles import NotModifiedResponse, StaticFiles
from starlette.types import Scope

from api.http.security_headers import page_headers

ASSETS: Final = Path(__file__).parent / "assets"

HEADERS: Final = page_headers(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

TYPES: Final = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}


def wants_page(request: Request) -> bool:
    """Whether a browser opens the address. Programs accept anything, or JSON."""
    return "text/html" in request.headers.get("accept", "")


def page() -> Response:
    return FileResponse(ASSETS / "index.html", media_type="text/html", headers={**HEADERS, "vary": "accept"})


class ConsoleFiles(StaticFiles):
    """The scripts, styles and libraries of the page."""

    def __init__(self) -> None:
        super().__init__(directory=ASSETS)

    def file_response(
        self, full_path: str | os.PathLike[str], stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        # Types of our own: those of the machine may differ, and reading them would block.
        media_type = TYPES.get(Path(full_path).suffix, "text/plain")
        response = FileResponse(full_path, status_code, HEADERS, media_type, stat_result=stat_result)
        is_known = self.is_not_modified(response.headers, Headers(scope=scope))
        return NotModifiedResponse(response.headers) if is_known else response


files = Mount("/console", GZipMiddleware(ConsoleFiles(), compresslevel=6), name="console")
"""Comes after the API of the console, which has the same prefix."""
