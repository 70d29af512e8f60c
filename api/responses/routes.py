"""`/v1/responses`: OpenAI's Responses API."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Depends, Query, Request, Response

from agent.events import Event
from agent.responses.store import ResponseStore
from api.http.admission import admit, admit_task, count_request
from api.http.auth import authenticate, authenticated_caller
from api.http.body import read_body, request_body
from api.http.direct_route import DirectRoute
from api.http.sse import EventStream, cancel_on_disconnect
from api.http.turn_response import served_headers, whole_response
from api.responses import background
from api.responses.encode import ResponseEncoder, sse
from api.responses.stored_items import listed
from api.responses.turn import begin
from api.responses.wire import ResponseRequest
from config.errors import RequestError, SwitchboardError
from config.settings import Settings

MAX_LISTED = 100
"""Items in one answer of `input_items`, as in OpenAI's API."""

MAX_EVENTS = 2**31 - 2
"""The largest sequence number that is accepted: the database counts events with 32 bits."""

routes = APIRouter(tags=["OpenAI"])


async def create_response(request: Request) -> Response:
    """OpenAI's response events with `stream: true`, otherwise one `response`. With `background: true` it is queued."""
    caller = authenticated_caller(request)
    settings: Settings = request.state.settings
    count_request(request)
    began = time.perf_counter()
    body = await read_body(request, ResponseRequest, error=RequestError)
    if body.background:
        await admit_task(request)
        queued = await background.submit(request, caller, body)
        return await background.follow(request, queued) if body.stream else _json(queued)
    standing = await admit(request)
    response = await begin(request, caller, body)
    turn, encoder = response.turn, response.encoder
    if body.stream:

        def failed(error: SwitchboardError) -> bytes:
            return sse(encoder.failed(error))

        return EventStream(
            _sse(encoder, response.events),
            get_headers=lambda: {**standing, **served_headers(turn)},
            encode_error=failed,
            keep_alive=settings.keep_alive_interval,
        )
    answer = await cancel_on_disconnect(request, encoder.whole(response.events))
    return whole_response(answer, turn, began, standing)


for path, documented in (("/v1/responses", True), ("/responses", False)):
    routes.add_api_route(
        path,
        create_response,
        methods=["POST"],
        summary="Run one agent turn, as OpenAI's Responses API",
        openapi_extra=request_body(ResponseRequest),
        include_in_schema=documented,
        route_class_override=DirectRoute,
    )


@routes.get("/responses/{response_id}", include_in_schema=False)
@routes.get("/v1/responses/{response_id}", summary="A stored response")
async def get_response(
    request: Request,
    response_id: str,
    caller: Annotated[str, Depends(authenticate)],
    stream: bool = False,
    starting_after: Annotated[int | None, Query(ge=0, le=MAX_EVENTS)] = None,
) -> Response:
    """With `stream=true`: the events of one in the background, those after number `starting_after`."""
    responses: ResponseStore = request.state.responses
    stored = await responses.get(caller, response_id)
    if stream:
        return await background.follow(request, stored.response, starting_after)
    return _json(await background.current(request, caller, stored))


@routes.delete("/responses/{response_id}", include_in_schema=False)
@routes.delete("/v1/responses/{response_id}", summary="Delete a stored response")
async def delete_response(
    request: Request, response_id: str, caller: Annotated[str, Depends(authenticate)]
) -> Response:
    """One that runs in the background ends."""
    responses: ResponseStore = request.state.responses
    stored = await responses.get(caller, response_id)
    await responses.delete(caller, response_id)
    await background.forget(request, stored)
    return _json({"id": response_id, "object": "response", "deleted": True})


@routes.post("/responses/{response_id}/cancel", include_in_schema=False)
@routes.post("/v1/responses/{response_id}/cancel", summary="Cancel a response in the background")
async def cancel_response(
    request: Request, response_id: str, caller: Annotated[str, Depends(authenticate)]
) -> Response:
    """Ends its turn, and returns the response. One that has ended stays as it is."""
    responses: ResponseStore = request.state.responses
    return _json(await background.cancel(request, caller, await responses.get(caller, response_id)))


@routes.get("/responses/{response_id}/input_items", include_in_schema=False)
@routes.get("/v1/responses/{response_id}/input_items", summary="What a stored response answered")
async def input_items(
    request: Request,
    response_id: str,
    caller: Annotated[str, Depends(authenticate)],
    limit: Annotated[int, Query(ge=1, le=MAX_LISTED)] = 20,
    order: Literal["asc", "desc"] = "desc",
    after: str | None = None,
) -> Response:
    """Also the items of the responses before it."""
    responses: ResponseStore = request.state.responses
    await responses.get(caller, response_id)
    items = listed(await responses.chain(caller, response_id))
    items = items if order == "asc" else items[::-1]
    ids = [item["id"] for item in items]
    if after is not None and after not in ids:
        raise RequestError(f"Item with id '{after}' not found.", param="after")
    first = 0 if after is None else ids.index(after) + 1
    page = items[first : first + limit]
    ends = {"first_id": page[0]["id"], "last_id": page[-1]["id"]} if page else {"first_id": "", "last_id": ""}
    return _json({"object": "list", "data": page, **ends, "has_more": first + limit < len(items)})


async def _sse(encoder: ResponseEncoder, events: AsyncGenerator[Event, None]) -> AsyncGenerator[bytes, None]:
    async with aclosing(encoder.stream(events)) as stream:
        async for together in stream:
            yield sse(together)


def _json(value: Any) -> Response:
    return Response(orjson.dumps(value), media_type="application/json")
