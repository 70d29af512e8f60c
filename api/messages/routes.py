"""`/v1/messages`: Anthropic's API."""

from __future__ import annotations

import time

import orjson
from fastapi import APIRouter, Request, Response

from agent.personas.service import PersonaService
from agent.turns import TurnService
from api.http.admission import admit, count_request
from api.http.auth import authenticated_caller
from api.http.body import read_body, request_body
from api.http.direct_route import DirectRoute
from api.http.sse import EventStream, cancel_on_disconnect
from api.http.turn_response import begin_turn, served_headers, whole_response
from api.messages.encode import MessageEncoder, MessageInfo, error_event
from api.messages.wire import CountTokensRequest, MessagesRequest, estimated_input
from config.errors import RequestError
from config.settings import Settings

routes = APIRouter(tags=["Anthropic"])


async def messages(request: Request) -> Response:
    """Anthropic's events with `stream: true`, otherwise one `message`."""
    caller = authenticated_caller(request)
    settings: Settings = request.state.settings
    count_request(request)
    began = time.perf_counter()
    body = await read_body(request, MessagesRequest, error=RequestError)
    standing = await admit(request)
    begun = await begin_turn(request, body.turn_request(request.headers, caller, settings.max_tools))
    turn, events = begun.turn, begun.events
    info = MessageInfo(
        id=f"msg_{turn.ids.turn_id}",
        model=lambda: turn.record.model,
        input_tokens=estimated_input(begun.request),
        shows_thinking=body.shows_thinking,
    )
    encoder = MessageEncoder(info)
    if body.stream:
        return EventStream(
            encoder.sse(events),
            get_headers=lambda: {**standing, **served_headers(turn)},
            encode_error=error_event,
            keep_alive=settings.keep_alive_interval,
            encode_keep_alive=encoder.ping,
        )
    answer = await cancel_on_disconnect(request, encoder.whole(events))
    return whole_response(answer, turn, began, standing)


async def count_tokens(request: Request) -> Response:
    """The input tokens of a request, by an estimate. No provider is asked."""
    caller = authenticated_caller(request)
    settings: Settings = request.state.settings
    turns: TurnService = request.state.turns
    personas: PersonaService = request.state.personas
    body = await read_body(request, CountTokensRequest, error=RequestError)
    turn_request = await personas.resolve(body.turn_request(request.headers, caller, settings.max_tools))
    turns.allow(caller, turn_request.model, turn_request.allowed_as)
    turns.router.check(turn_request.model)
    return Response(orjson.dumps({"input_tokens": estimated_input(turn_request)}), media_type="application/json")


for prefix, documented in (("/v1", True), ("", False)):
    routes.add_api_route(
        f"{prefix}/messages",
        messages,
        methods=["POST"],
        summary="Run one agent turn, as Anthropic's Messages API",
        openapi_extra=request_body(MessagesRequest),
        include_in_schema=documented,
        route_class_override=DirectRoute,
    )
    routes.add_api_route(
        f"{prefix}/messages/count_tokens",
        count_tokens,
        methods=["POST"],
        summary="Estimate the input tokens of a request",
        openapi_extra=request_body(CountTokensRequest),
        include_in_schema=documented,
        route_class_override=DirectRoute,
    )
