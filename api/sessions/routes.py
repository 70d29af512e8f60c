"""`/agent/*`: sessions, reviews and long-term memory for applications."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Annotated, Any
from uuid import UUID

import orjson
from fastapi import APIRouter, Depends, Query, Request, Response

from agent.memory.long_term import LongTermMemory, Memory
from agent.message_fields import all_fields
from agent.sessions.events import SessionEvent
from agent.sessions.record import SessionRecord
from agent.sessions.service import SessionService
from agent.tasks.service import TaskService
from agent.turns import TurnService
from api.http.admission import admit, count_request
from api.http.auth import authenticate
from api.http.body import read_body, request_body
from api.http.caller_scope import of_caller, stored_user
from api.http.sse import EventStream, cancel_on_disconnect
from api.sessions import encode
from api.sessions.wire import CancelBody, InvokeBody, MemoryBody, Offset, PathId, ResumeBody, SessionBody
from config.errors import MemoryDisabled, MemoryNotFound, RequestError, SessionNotFound
from config.settings import Settings

routes = APIRouter(prefix="/agent", tags=["sessions"], dependencies=[Depends(authenticate)])

OPTIONAL_BODY = request_body(CancelBody, required=False)

Limit = Annotated[int, Query(ge=1, le=1000)]


@routes.post("/invoke", summary="Run a turn", openapi_extra=request_body(InvokeBody))
async def invoke(request: Request) -> Response:
    """The whole turn in one response."""
    count_request(request)
    body = await read_body(request, InvokeBody)
    await admit(request)
    return await _json_response(request, _sessions(request).invoke(of_caller(request, body.invocation)))


@routes.post(
    "/invoke/stream",
    summary="Run a turn, streamed",
    openapi_extra=request_body(InvokeBody),
    status_code=200,
    response_class=EventStream,
)
async def invoke_stream(request: Request) -> Response:
    """Server-sent events: each `data:` line is a JSON object with a `type`."""
    count_request(request)
    body = await read_body(request, InvokeBody)
    await admit(request)
    events = _sessions(request).invoke(of_caller(request, body.invocation))
    return _event_stream(request, events, body.session_id)


@routes.post("/resume", summary="Answer a review", openapi_extra=request_body(ResumeBody))
async def resume(request: Request) -> Response:
    """The rest of the turn in one response."""
    count_request(request)
    body = await read_body(request, ResumeBody)
    await admit(request)
    return await _json_response(request, _sessions(request).resume(of_caller(request, body.resumption)))


@routes.post(
    "/resume/stream",
    summary="Answer a review, streamed",
    openapi_extra=request_body(ResumeBody),
    status_code=200,
    response_class=EventStream,
)
async def resume_stream(request: Request) -> Response:
    """Server-sent events, as in `/agent/invoke/stream`."""
    count_request(request)
    body = await read_body(request, ResumeBody)
    await admit(request)
    events = _sessions(request).resume(of_caller(request, body.resumption))
    return _event_stream(request, events, body.session_id)


@routes.post("/cancel/{user_id}/{session_id}", summary="Cancel the running turn", openapi_extra=OPTIONAL_BODY)
async def cancel(request: Request, user_id: PathId, session_id: PathId) -> dict[str, Any]:
    """Also closes the provider's connection. The body is optional."""
    body = await read_body(request, CancelBody, optional=True)
    user = stored_user(request, user_id)
    return _status(await _sessions(request).cancel(user, session_id, body.heard), user_id)


@routes.get("/sessionids/{user_id}", summary="The user's sessions, most recently active first")
async def session_ids(
    request: Request, user_id: PathId, limit: Limit | None = None, offset: Offset = 0
) -> dict[str, Any]:
    """All of them without `limit`; expired sessions are left out."""
    return {"session_ids": await _sessions(request).ids(stored_user(request, user_id), limit, offset)}


@routes.get("/active/sessionid/{user_id}", summary="The user's most recently active session")
async def active_session_id(request: Request, user_id: PathId) -> dict[str, str]:
    """An empty string if there is none."""
    record = await _sessions(request).latest(stored_user(request, user_id))
    return {"active_session_id": record.session_id if record else ""}


@routes.get("/status/{user_id}/{session_id}", summary="The session's status, to resume it")
async def status(request: Request, user_id: PathId, session_id: PathId) -> dict[str, Any]:
    """`not_found`, `idle`, `running`, `interrupted`, `completed` or `error`."""
    record = await _sessions(request).status(stored_user(request, user_id), session_id)
    return _status(record, user_id) if record else encode.not_found(user_id, session_id)


@routes.get("/history/{user_id}/{session_id}", summary="The session's messages, oldest first")
async def history(
    request: Request, user_id: PathId, session_id: PathId, limit: Limit = 100, offset: Offset = 0
) -> dict[str, Any]:
    """One page, in LangChain's format with the fields of OpenAI's."""
    messages = await _sessions(request).history(stored_user(request, user_id), session_id)
    page = messages[offset : offset + limit]
    return {"session_id": session_id, "total": len(messages), "offset": offset, "messages": all_fields(page)}


@routes.patch(
    "/session/{user_id}/{session_id}", summary="Set the session's expiry", openapi_extra=request_body(SessionBody)
)
async def patch_session(request: Request, user_id: PathId, session_id: PathId) -> dict[str, Any]:
    """`ttl` seconds from now; null means never."""
    body = await read_body(request, SessionBody)
    user = stored_user(request, user_id)
    return _status(await _sessions(request).set_expiry(user, session_id, body.ttl), user_id)


@routes.delete("/session/{user_id}/{session_id}", summary="Delete a session and its messages")
async def delete_session(request: Request, user_id: PathId, session_id: PathId) -> dict[str, bool]:
    """A running turn and the session's background tasks are cancelled."""
    tasks: TaskService = request.state.tasks
    user = stored_user(request, user_id)
    cancelled = await tasks.cancel_session(user, session_id)
    try:
        await _sessions(request).delete(user, session_id)
    except SessionNotFound:
        if not cancelled:  # otherwise the session would have begun with its first task
            raise
    return {"success": True}


@routes.post("/write/longterm", summary="Store a memory of a user", openapi_extra=request_body(MemoryBody))
async def write_memory(request: Request) -> dict[str, Any]:
    """If the user already has a memory with the same text, it becomes the newest."""
    body = await read_body(request, MemoryBody)
    user = stored_user(request, body.user_id)
    turns: TurnService = request.state.turns
    if not turns.profile.memory.long_term:
        raise MemoryDisabled("The agent has no long-term memory. Set `memory: {long_term: true}` in agent.yaml.")
    try:
        memory = await _memories(request).write(user, body.memory_info)
    except RequestError as error:
        raise RequestError(str(error), param="memory_info") from error
    return {"success": True, "user_id": body.user_id, "message": "The memory is stored.", "memory": _memory(memory)}


@routes.get("/longterm/{user_id}", summary="The user's memories")
async def memories(
    request: Request,
    user_id: PathId,
    query: Annotated[str | None, Query(max_length=10_000)] = None,
    limit: Limit = 100,
    offset: Offset = 0,
) -> dict[str, Any]:
    """Newest first; with `query` and an embedding model, most similar first."""
    store, user = _memories(request), stored_user(request, user_id)
    if query:
        found = (await store.search(user, query, offset + limit))[offset:]
    else:
        found = await store.list(user, limit, offset)
    return {"memories": [_memory(each) for each in found]}


@routes.delete("/longterm/{user_id}/{memory_id}", summary="Delete a memory")
async def forget(request: Request, user_id: PathId, memory_id: UUID) -> dict[str, bool]:
    """404 if the user has no such memory."""
    if not await _memories(request).forget(stored_user(request, user_id), memory_id):
        raise MemoryNotFound("The user has no such memory.")
    return {"success": True}


def _status(record: SessionRecord, user_id: str) -> dict[str, Any]:
    """The status under the caller's own id of the user."""
    return {**encode.status(record), "user_id": user_id}


async def _json_response(request: Request, events: AsyncGenerator[SessionEvent, None]) -> Response:
    answer = await cancel_on_disconnect(request, encode.outcome(events))
    return Response(orjson.dumps(answer), media_type="application/json")


def _event_stream(request: Request, events: AsyncGenerator[SessionEvent, None], session_id: str | None) -> Response:
    settings: Settings = request.state.settings
    encoder = encode.SseEncoder(session_id)
    return EventStream(
        encoder.sse(events),
        get_headers=dict,
        encode_error=encoder.error_line,
        keep_alive=settings.keep_alive_interval,
    )


def _memory(memory: Memory) -> dict[str, Any]:
    return {"id": str(memory.id), "content": memory.content, "created": memory.created.timestamp()}


def _sessions(request: Request) -> SessionService:
    sessions: SessionService = request.state.sessions
    return sessions


def _memories(request: Request) -> LongTermMemory:
    found: LongTermMemory = request.state.memories
    return found
