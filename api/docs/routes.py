"""`/docs`: Swagger UI from this server, so that it works without the internet and asks nobody else."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import FileResponse, HTMLResponse, Response

from api.http.errors import RouteNotFound
from api.http.security_headers import page_headers

ASSETS: Final = Path(__file__).parent / "assets"
SERVED: Final = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "start.js": "text/javascript",
    "LICENSE": "text/plain",
}
"""The files of `assets/` that are served, and their types."""

HEADERS: Final = page_headers(
    # Swagger UI sets styles of its own, and has its icons as data.
    "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self' "
    "'unsafe-inline'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

# Relative addresses, so that the page also works behind a proxy that adds a prefix.
PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Switchboard</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""

routes = APIRouter(include_in_schema=False)


@routes.get("/docs")
async def docs(_: Request) -> Response:
    return HTMLResponse(PAGE, headers=HEADERS)


@routes.get("/docs/{name}")
async def asset(_: Request, name: str) -> Response:
    if name not in SERVED:
        raise RouteNotFound(f"There is no file {name!r} here.")
    return FileResponse(ASSETS / name, media_type=SERVED[name], headers=HEADERS)
