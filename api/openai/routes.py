"""`/v1/chat/completions` and `/v1/models`: the OpenAI-compatible API."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Depends, Request, Response

from agent.personas.persona import MODEL_PREFIX, Persona
from agent.personas.service import PersonaService
from agent.turns import TurnService
from api.http.admission import admit, count_request
from api.http.anthropic_errors import speaks_anthropic
from api.http.auth import authenticate, authenticated_caller
from api.http.body import read_body, request_body
from api.http.direct_route import DirectRoute
from api.http.sse import EventStream, cancel_on_disconnect
from api.http.turn_response import begin_turn, served_headers, whole_response
from api.messages.encode import model_list, model_object
from api.openai.encode import CompletionInfo, chunks, completion, error_event
from api.openai.wire import ChatCompletionRequest
from config.errors import RequestError, StorageUnavailable
from config.settings import Settings
from router.failover import model_not_found

routes = APIRouter(tags=["OpenAI"])


async def chat_completions(request: Request) -> Response:
    """`chat.completion.chunk` events with `stream: true`, otherwise one `chat.completion`."""
    caller = authenticated_caller(request)
    settings: Settings = request.state.settings
    turns: TurnService = request.state.turns
    count_request(request)
    began = time.perf_counter()
    body = await read_body(request, ChatCompletionRequest, error=RequestError)
    standing = await admit(request)
    begun = await begin_turn(request, body.turn_request(request.headers, caller, settings.max_tools))
    turn, events = begun.turn, begun.events
    info = CompletionInfo(
        id=f"chatcmpl-{turn.ids.turn_id}",
        created=int(time.time()),
        model=lambda: turn.record.model,
        function_call=turns.profile.function_call_object,
        legacy_functions=bool(body.functions and not body.tools),
        provider_fields=lambda: turn.record.provider_fields,
        include_usage=bool(body.stream_options and body.stream_options.include_usage),
    )
    if body.stream:
        return EventStream(
            chunks(events, info),
            get_headers=lambda: {**standing, **served_headers(turn)},
            encode_error=error_event,
            keep_alive=settings.keep_alive_interval,
        )
    answer = await cancel_on_disconnect(request, completion(events, info))
    return whole_response(answer, turn, began, standing)


for path, documented in (("/v1/chat/completions", True), ("/chat/completions", False)):
    routes.add_api_route(
        path,
        chat_completions,
        methods=["POST"],
        summary="Run one agent turn",
        openapi_extra=request_body(ChatCompletionRequest),
        include_in_schema=documented,
        route_class_override=DirectRoute,
    )


@routes.get("/models", include_in_schema=False, dependencies=[Depends(authenticate)])
@routes.get("/v1/models", summary="The models that are ready", dependencies=[Depends(authenticate)])
async def models(request: Request) -> dict[str, Any]:
    turns: TurnService = request.state.turns
    personas: PersonaService = request.state.personas
    allowed, caller = turns.callers.may_use, request.state.caller
    names = [name for name in turns.router.registry.current.names() if allowed(caller, name)]
    names += [each.model_name for each in await _personas(personas) if allowed(caller, *each.model_names)]
    if speaks_anthropic(request.scope):
        return model_list(names)
    return {"object": "list", "data": [_model(name) for name in names]}


@routes.get("/models/{name:path}", include_in_schema=False, dependencies=[Depends(authenticate)])
@routes.get("/v1/models/{name:path}", summary="One model", dependencies=[Depends(authenticate)])
async def model(request: Request, name: str) -> dict[str, Any]:
    """Any name that a request can use, including one that only a wildcard matches."""
    turns: TurnService = request.state.turns
    personas: PersonaService = request.state.personas
    described = model_object if speaks_anthropic(request.scope) else _model
    if name.startswith(MODEL_PREFIX):
        await personas.named_by(name, request.state.caller)
        return described(name)
    registry = turns.router.registry.current
    allowed = turns.callers.may_use(request.state.caller, name)
    if not allowed or not registry.usable(registry.resolve(name) or ""):
        raise model_not_found(name)
    return described(name)


async def _personas(personas: PersonaService) -> Sequence[Persona]:
    """Also without its database, the server has models."""
    try:
        return await personas.models()
    except StorageUnavailable:
        return ()


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "switchboard"}
