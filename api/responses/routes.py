"""`/v1/responses`: OpenAI's Responses API."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response

from agent.events import Event
from agent.personas.service import PersonaService
from agent.turns import TurnService
from api.http.admission import admit
from api.http.auth import authenticated_caller
from api.http.body import read_json_object, request_body, validate_body
from api.http.caller_scope import with_stored_user
from api.http.direct_route import DirectRoute
from api.http.sse import EventStream, cancel_on_disconnect
from api.openai.routes import served_headers
from api.responses.encode import ResponseEncoder, sse
from api.responses.response_object import ResponseInfo
from api.responses.wire import ResponseRequest
from config.errors import SwitchboardError
from config.settings import Settings

routes = APIRouter(tags=["OpenAI"])

RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "A `response`; with `stream: true`, server-sent events, each with its `type`.",
        "content": {
            "application/json": {"schema": {"type": "object"}},
            "text/event-stream": {"schema": {"type": "string"}},
        },
    }
}


async def create_response(request: Request) -> Response:
    """OpenAI's response events with `stream: true`, otherwise one `response`."""
    caller = authenticated_caller(request)
    settings: Settings = request.state.settings
    turns: TurnService = request.state.turns
    turns.statistics.count_request(caller)
    began = time.perf_counter()
    body = validate_body(ResponseRequest, await read_json_object(request, limit=settings.max_body_bytes))
    standing = await admit(request)
    personas: PersonaService = request.state.personas
    turn_request = await personas.resolve(body.turn_request(request.headers, caller, settings.max_tools))
    turn = turns.begin(turn_request := with_stored_user(request, turn_request))
    events = turns.run(turn, turn_request.session_key, turn_request.fingerprint)
    encoder = ResponseEncoder(
        ResponseInfo(
            key=turn.ids.turn_id,
            created_at=_now(),
            now=_now,
            model=lambda: turn.record.model,
            echoed=body.echoed(),
            provider_fields=lambda: turn.record.provider_fields,
        )
    )
    if body.stream:

        def failed(error: SwitchboardError) -> bytes:
            return sse(encoder.failed(error))

        return EventStream(
            _sse(encoder, events),
            get_headers=lambda: {**standing, **served_headers(turn)},
            encode_error=failed,
            keep_alive=settings.keep_alive_interval,
        )
    answer = await cancel_on_disconnect(request, encoder.whole(events))
    overhead = time.perf_counter() - began - turn.record.provider_seconds
    headers = {**standing, **served_headers(turn), "x-switchboard-overhead-ms": f"{overhead * 1000:.1f}"}
    return Response(orjson.dumps(answer), headers=headers, media_type="application/json")


for path, documented in (("/v1/responses", True), ("/responses", False)):
    routes.add_api_route(
        path,
        create_response,
        methods=["POST"],
        summary="Run one agent turn, as OpenAI's Responses API",
        openapi_extra=request_body(ResponseRequest),
        responses=RESPONSES,
        include_in_schema=documented,
        route_class_override=DirectRoute,
    )


async def _sse(encoder: ResponseEncoder, events: AsyncGenerator[Event, None]) -> AsyncGenerator[bytes, None]:
    async with aclosing(encoder.stream(events)) as stream:
        async for together in stream:
            yield sse(together)


def _now() -> int:
    return int(time.time())
