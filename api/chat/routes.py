"""`/chat`: one message, one answer, for simple clients. Each request stands alone."""

from __future__ import annotations

from dataclasses import replace

import orjson
from fastapi import APIRouter, Depends, Request, Response

from agent.personas.service import PersonaService
from agent.turn_request import TurnRequest
from agent.turns import TurnService
from api.chat import encode
from api.chat.wire import ChatBody
from api.http.admission import admit, count_request
from api.http.auth import authenticate
from api.http.body import read_body, request_body
from api.http.sse import EventStream, cancel_on_disconnect
from config.settings import Settings

routes = APIRouter(prefix="/chat", tags=["chat"], dependencies=[Depends(authenticate)])

BODY = request_body(ChatBody)


@routes.post("", summary="Answer one message", openapi_extra=BODY)
async def chat(request: Request) -> Response:
    """The whole answer, with its tokens and its cost in US dollars."""
    turns: TurnService = request.state.turns
    turn = turns.begin(await _turn_request(request))
    answer = await cancel_on_disconnect(request, encode.answer(turns.run(turn)))
    return Response(orjson.dumps(answer), media_type="application/json")


@routes.post(
    "/stream",
    summary="Answer one message, streamed",
    openapi_extra=BODY,
    status_code=200,
    response_class=EventStream,
)
async def chat_stream(request: Request) -> Response:
    """Server-sent events: `start` at once, `content` as the model says it, then `complete` or `error`."""
    settings: Settings = request.state.settings
    turns: TurnService = request.state.turns
    turn = turns.begin(await _turn_request(request))
    return EventStream(
        encode.sse(turns.run(turn), turns.profile.chat.start_message),
        get_headers=dict,
        encode_error=encode.error_line,
        keep_alive=settings.keep_alive_interval,
    )


async def _turn_request(request: Request) -> TurnRequest:
    """The turn that the request asks for; the request is counted in the statistics."""
    personas: PersonaService = request.state.personas
    caller = count_request(request)
    body = await read_body(request, ChatBody)
    await admit(request)
    return await personas.resolve(replace(body.turn_request, caller=caller))
