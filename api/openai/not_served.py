"""Paths of OpenAI's API that are not served. Each answer says what to call instead."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from api.http.direct_route import DirectRoute
from api.http.errors import RouteNotFound

INSTEAD = {
    "completions": "Call POST /v1/chat/completions with `messages` instead of `prompt`.",
    "audio/speech": "Switchboard serves text: POST /v1/chat/completions. Speech belongs to the voice platform.",
    "audio/transcriptions": "Switchboard serves text: POST /v1/chat/completions. Speech belongs to the voice platform.",
    "images/generations": "Switchboard serves text: POST /v1/chat/completions.",
    "moderations": "Switchboard serves text: POST /v1/chat/completions.",
}

routes = APIRouter()


async def not_served(request: Request) -> Response:
    path = request.url.path
    raise RouteNotFound(f"POST {path} is not served here. {INSTEAD[path.removeprefix('/').removeprefix('v1/')]}")


for name in INSTEAD:
    for path in (f"/v1/{name}", f"/{name}"):
        routes.add_api_route(
            path, not_served, methods=["POST"], include_in_schema=False, route_class_override=DirectRoute
        )
