"""`/agent/*`: sessions, reviews and long-term memory for applications."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Annotated, Any, TypeVar
from uuid import UUID

import orjson
from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import AfterValidator, BaseModel

from agent.memory.long_term import LongTermMemory, Memory
from agent.sessions.events import SessionEvent
from agent.sessions.service import SessionService
from api.http.auth import authenticate
from api.http.body import read_json_object, request_body, validated
from api.http.errors import InvalidBody
from api.http.sse import EventStream, until_hang_up
from api.sessions import encode
from api.sessions.wire import CancelBody, InvokeBody, MemoryBody, ResumeBody, SessionBody, plain_id
from config.errors import MemoryNotFound
from config.settings import Settings

routes = APIRouter(prefix="/agent", tags=["sessions"], dependencies=[Depends(authenticate)])

B = TypeVar("B", bound=BaseModel)

PathId = Annotated[str, Path(), AfterValidator(plain_id)]
OPTIONAL_BODY = request_body(CancelBody, required=False)

Limit = Annotated[int, Query(ge=1, le=1000)]
Offset = Annotated[int, Query(ge=0, le=10_000_000)]


@routes.post("/invoke", summary="Run a turn", openapi_extra=request_body(InvokeBody))
async def invoke(request: Request) -> Response:
    """The whole turn in one answer."""
    body = await _read(request, InvokeBody)
    return await _whole(request, _sessions(request).invoke(body.invocation))


@routes.post("/invoke/stream", summary="Run a turn, streamed", openapi_extra=request_body(InvokeBody))
async def invoke_stream(request: Request) -> Response:
    """SSE: one JSON object with a `type` in each `data:` line."""
    body = await _read(request, InvokeBody)
    return _stream(request, _sessions(request).invoke(body.invocation), body.session_id)


@routes.post("/resume", summary="Answer a review", openapi_extra=request_body(ResumeBody))
async def resume(request: Request) -> Response:
    """The rest of the turn in one answer."""
    body = await _read(request, ResumeBody)
    return await _whole(request, _sessions(request).resume(body.resumption))


@routes.post("/resume/stream", summary="Answer a review, streamed", openapi_extra=request_body(ResumeBody))
async def resume_stream(request: Request) -> Response:
    """SSE, as `/agent/invoke/stream`."""
    body = await _read(request, ResumeBody)
    return _stream(request, _sessions(request).resume(body.resumption), body.session_id)


@routes.post("/cancel/{user_id}/{session_id}", summary="End the running turn", openapi_extra=OPTIONAL_BODY)
async def cancel(request: Request, user_id: PathId, session_id: PathId) -> dict[str, Any]:
    """Down to the provider's connection. The body may be left out."""
    body = await _read(request, CancelBody, optional=True)
    return encode.status(await _sessions(request).cancel(user_id, session_id, body.heard))


@routes.get("/sessionids/{user_id}", summary="The user's sessions, the last active first")
async def session_ids(request: Request, user_id: PathId, limit: Limit = 100, offset: Offset = 0) -> dict[str, Any]:
    """Those that have expired are not among them."""
    return {"session_ids": await _sessions(request).ids(user_id, limit, offset)}


@routes.get("/active/sessionid/{user_id}", summary="The session that the user was last active in")
async def active_session_id(request: Request, user_id: PathId) -> dict[str, str]:
    """The empty string when there is none."""
    record = await _sessions(request).latest(user_id)
    return {"active_session_id": record.session_id if record else ""}


@routes.get("/status/{user_id}/{session_id}", summary="What a client needs to pick a session up again")
async def status(request: Request, user_id: PathId, session_id: PathId) -> dict[str, Any]:
    """`not_found`, `idle`, `running`, `interrupted`, `completed` or `error`."""
    record = await _sessions(request).look_up(user_id, session_id)
    return encode.status(record) if record else encode.not_found(user_id, session_id)


@routes.get("/history/{user_id}/{session_id}", summary="The session's messages, oldest first")
async def history(
    request: Request, user_id: PathId, session_id: PathId, limit: Limit = 100, offset: Offset = 0
) -> dict[str, Any]:
    """A page of them, in OpenAI's form."""
    messages = await _sessions(request).history(user_id, session_id)
    page = messages[offset : offset + limit]
    return {"session_id": session_id, "total": len(messages), "offset": offset, "messages": encode.messages(page)}


@routes.patch("/session/{user_id}/{session_id}", summary="Set when it expires", openapi_extra=request_body(SessionBody))
async def patch_session(request: Request, user_id: PathId, session_id: PathId) -> dict[str, Any]:
    """In `ttl` seconds from now; null: never."""
    body = await _read(request, SessionBody)
    return encode.status(await _sessions(request).set_expiry(user_id, session_id, body.ttl))


@routes.delete("/session/{user_id}/{session_id}", summary="Delete a session with all that was said in it")
async def delete_session(request: Request, user_id: PathId, session_id: PathId) -> dict[str, bool]:
    """A turn that runs is ended."""
    await _sessions(request).delete(user_id, session_id)
    return {"success": True}


@routes.post("/write/longterm", summary="Remember something of a user", openapi_extra=request_body(MemoryBody))
async def write_memory(request: Request) -> dict[str, Any]:
    """The very same text again is the memory that is there, now the newest."""
    body = await _read(request, MemoryBody)
    return {"success": True, "memory": _memory(await _memories(request).write(body.user_id, body.content))}


@routes.get("/longterm/{user_id}", summary="What is remembered of a user")
async def memories(
    request: Request,
    user_id: PathId,
    query: Annotated[str | None, Query(max_length=10_000)] = None,
    limit: Limit = 100,
    offset: Offset = 0,
) -> dict[str, Any]:
    """Newest first; with `query`, those that come nearest to it first."""
    store = _memories(request)
    found = await store.search(user_id, query, limit) if query else await store.list(user_id, limit, offset)
    return {"memories": [_memory(each) for each in found]}


@routes.delete("/longterm/{user_id}/{memory_id}", summary="Forget something of a user")
async def forget(request: Request, user_id: PathId, memory_id: UUID) -> dict[str, bool]:
    """404 when the user has no such memory."""
    if not await _memories(request).forget(user_id, memory_id):
        raise MemoryNotFound("The user has no such memory.")
    return {"success": True}


async def _read(request: Request, model: type[B], *, optional: bool = False) -> B:
    settings: Settings = request.state.settings
    value = await read_json_object(request, limit=settings.max_body_bytes, optional=optional)
    return validated(model, value, error=InvalidBody)


async def _whole(request: Request, events: AsyncGenerator[SessionEvent, None]) -> Response:
    answer = await until_hang_up(request, encode.outcome(events))
    return Response(orjson.dumps(answer), media_type="application/json")


def _stream(request: Request, events: AsyncGenerator[SessionEvent, None], session_id: str | None) -> Response:
    settings: Settings = request.state.settings
    return EventStream(
        encode.sse(events),
        headers_now=dict,
        encode_error=lambda error: encode.error_line(error, session_id or ""),
        keep_alive=settings.keep_alive_interval,
    )


def _memory(memory: Memory) -> dict[str, str]:
    return {
        "id": str(memory.id),
        "content": memory.content,
        "created": memory.created.isoformat(timespec="milliseconds"),
    }


def _sessions(request: Request) -> SessionService:
    sessions: SessionService = request.state.sessions
    return sessions


def _memories(request: Request) -> LongTermMemory:
    found: LongTermMemory = request.state.memories
    return found
