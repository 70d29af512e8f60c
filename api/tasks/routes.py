"""`/agent/invoke/async`, `/agent/task/*`, `/agent/tasks/*`: turns in the background."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request, Response

from agent.tasks.kind import SESSION
from agent.tasks.record import TaskRecord
from agent.tasks.service import TaskService
from agent.tasks.store import task_not_found
from api.http.admission import admit_task, count_request
from api.http.auth import authenticate
from api.http.body import read_body, request_body
from api.http.caller_scope import of_caller, shown_user, stored_user
from api.http.sse import EventStream
from api.sessions.encode import SseEncoder
from api.sessions.wire import Offset, PathId, ResumeBody
from api.tasks import encode
from api.tasks.wire import EVENT_ID_SCHEMA, InvokeTaskBody, last_event_id
from config.settings import Settings

routes = APIRouter(prefix="/agent", tags=["tasks"], dependencies=[Depends(authenticate)])

Limit = Annotated[int, Query(ge=1, le=100)]


@routes.post(
    "/invoke/async",
    summary="Run a turn in the background",
    openapi_extra=request_body(InvokeTaskBody),
    status_code=202,
)
async def invoke_async(request: Request, response: Response) -> dict[str, str]:
    """Answers at once. The task waits while its session is busy."""
    count_request(request)
    body = await read_body(request, InvokeTaskBody)
    await admit_task(request)
    return _submitted(response, await _tasks(request).invoke(of_caller(request, body.invocation)))


@routes.post(
    "/resume/async",
    summary="Answer a review in the background",
    openapi_extra=request_body(ResumeBody),
    status_code=202,
)
async def resume_async(request: Request, response: Response) -> dict[str, str]:
    """Answers at once; the rest of the turn is a task of its own."""
    count_request(request)
    body = await read_body(request, ResumeBody)
    await admit_task(request)
    return _submitted(response, await _tasks(request).resume(of_caller(request, body.resumption)))


@routes.get("/task/{task_id}", summary="A task's status, progress and result")
async def get_task(request: Request, task_id: str) -> dict[str, Any]:
    """`queued`, `running`, `interrupted`, `completed`, `error` or `cancelled`."""
    return _task(request, await _visible(request, task_id))


@routes.delete("/task/{task_id}", summary="Cancel a task")
async def cancel_task(request: Request, task_id: str) -> dict[str, Any]:
    """Also closes the provider's connection. A task that has ended stays as it is."""
    await _visible(request, task_id)
    return _task(request, await _tasks(request).cancel(task_id))


@routes.get(
    "/task/{task_id}/events",
    summary="A task's events",
    status_code=200,
    response_class=EventStream,
)
async def task_events(
    request: Request,
    task_id: str,
    last_event: Annotated[str | None, Header(alias="Last-Event-ID", json_schema_extra=EVENT_ID_SCHEMA)] = None,
) -> Response:
    """The events of `/agent/invoke/stream`, from the first or after `Last-Event-ID`, also when the task has ended."""
    settings: Settings = request.state.settings
    after = last_event_id(last_event)
    await _visible(request, task_id)
    return EventStream(
        encode.sse(_tasks(request).events(task_id, after)),
        get_headers=dict,
        encode_error=SseEncoder(None).error_line,
        keep_alive=settings.keep_alive_interval,
    )


@routes.get("/tasks/{user_id}", summary="The user's tasks, newest first")
async def user_tasks(request: Request, user_id: PathId, limit: Limit = 20, offset: Offset = 0) -> dict[str, Any]:
    """One page, with the results."""
    found = await _tasks(request).of_user(stored_user(request, user_id), limit, offset)
    return {"tasks": [_task(request, each) for each in found]}


async def _visible(request: Request, task_id: str) -> TaskRecord:
    """The task. Raises TaskNotFound, also for one of a user that the caller may not see, and for a response."""
    record = await _tasks(request).get(task_id)
    if record.kind != SESSION or shown_user(request, record.user_id) is None:
        raise task_not_found()
    return record


def _task(request: Request, record: TaskRecord) -> dict[str, Any]:
    """The task under the caller's own id of the user."""
    return {**encode.task(record), "user_id": shown_user(request, record.user_id)}


def _submitted(response: Response, record: TaskRecord) -> dict[str, str]:
    response.headers["location"] = f"/agent/task/{record.task_id}"
    return {"task_id": record.task_id, "session_id": record.session_id}


def _tasks(request: Request) -> TaskService:
    tasks: TaskService = request.state.tasks
    return tasks
