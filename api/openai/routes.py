"""`/v1/chat/completions` and `/v1/models`, for every client that speaks OpenAI's API."""

from __future__ import annotations

import time
from collections.abc import Mapping
from secrets import token_hex
from typing import Any
from urllib.parse import quote

import orjson
from fastapi import APIRouter, Depends, Request, Response

from agent.turn import Turn
from agent.turns import TurnService
from api.http.auth import SECURITY, authenticate, caller_of
from api.http.body import read_json_object, request_body, validated
from api.http.plain_route import PlainRoute
from api.http.sse import EventStream, until_hang_up
from api.openai.encode import AnswerHead, chunks, completion, error_event
from api.openai.wire import ChatCompletionRequest
from config.errors import ModelNotFound
from config.settings import Settings

SAFE = "/:#*@+,=()[] "
"""What stays as it is in a header; people may give models and deployments names in any language."""

routes = APIRouter(tags=["OpenAI"])

DESCRIPTION = {**request_body(ChatCompletionRequest), **SECURITY}


async def chat_completions(request: Request) -> Response:
    """Streamed as `chat.completion.chunk` events with `stream: true`, else one `chat.completion`."""
    caller = caller_of(request)
    settings: Settings = request.state.settings
    turns: TurnService = request.state.turns
    began = time.perf_counter()
    body = validated(ChatCompletionRequest, await read_json_object(request, limit=settings.max_body_bytes))
    asked = body.turn_request(request.headers, caller)
    turn = turns.begin(asked)
    events = turns.run(turn, asked.session_key)
    head = AnswerHead(
        id=f"chatcmpl-{token_hex(16)}",
        created=int(time.time()),
        model=lambda: turn.record.model,
        function_call=turns.profile.function_call_object,
        include_usage=bool(body.stream_options and body.stream_options.include_usage),
    )
    if body.stream:
        return EventStream(
            chunks(events, head),
            headers_now=lambda: served_headers(turn),
            encode_error=error_event,
            keep_alive=settings.keep_alive_interval,
        )
    answer = await until_hang_up(request, completion(events, head))
    own = time.perf_counter() - began - turn.record.provider_seconds
    headers = {**served_headers(turn), "x-switchboard-overhead-ms": f"{own * 1000:.1f}"}
    return Response(orjson.dumps(answer), headers=headers, media_type="application/json")


for path, documented in (("/v1/chat/completions", True), ("/chat/completions", False)):
    routes.add_api_route(
        path,
        chat_completions,
        methods=["POST"],
        summary="Run one agent turn",
        openapi_extra=DESCRIPTION,
        include_in_schema=documented,
        route_class_override=PlainRoute,
    )


def served_headers(turn: Turn) -> Mapping[str, str]:
    """Who serves, as far as it is known by now."""
    record = turn.record
    headers = {"x-switchboard-model": quote(record.model, SAFE), "x-switchboard-attempts": str(len(record.attempts))}
    if record.served_deployment is not None:
        headers["x-switchboard-deployment"] = quote(record.served_deployment, SAFE)
    return headers


@routes.get("/models", include_in_schema=False, dependencies=[Depends(authenticate)])
@routes.get("/v1/models", summary="The models that can be named now", dependencies=[Depends(authenticate)])
async def models(request: Request) -> dict[str, Any]:
    turns: TurnService = request.state.turns
    return {"object": "list", "data": [_model(name) for name in turns.router.registry.current.names()]}


@routes.get("/models/{name:path}", include_in_schema=False, dependencies=[Depends(authenticate)])
@routes.get("/v1/models/{name:path}", summary="One model by its name", dependencies=[Depends(authenticate)])
async def model(request: Request, name: str) -> dict[str, Any]:
    """Any name that a request may carry, so also one that only a wildcard serves."""
    turns: TurnService = request.state.turns
    registry = turns.router.registry.current
    if not registry.usable(registry.resolve(name) or ""):
        raise ModelNotFound(f"The model {name!r} does not exist. GET /v1/models lists those that do.", param="model")
    return _model(name)


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "switchboard"}
