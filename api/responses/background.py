"""Responses in the background: how one is submitted, read, followed, cancelled and deleted."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress
from secrets import token_hex

import orjson
from fastapi import Request

from agent.personas.service import PersonaService
from agent.responses.store import ResponseStore, StoredResponse
from agent.tasks.kind import RESPONSE, NewTask
from agent.tasks.service import TaskService
from agent.turns import TurnService
from api.http.errors import error_object
from api.http.sse import EventStream
from api.http.turn_response import prepared
from api.responses.background_request import BackgroundRequest
from api.responses.encode import ResponseEncoder, ResponseEvent, frames, sse
from api.responses.response_object import ID_PREFIX, Object
from api.responses.stored_items import UNFINISHED
from api.responses.turn import read_request
from api.responses.wire import ResponseRequest
from config.errors import RequestError, SwitchboardError, TaskNotFound
from config.settings import Settings


async def submit(request: Request, caller: str, body: ResponseRequest) -> Object:
    """Queue the response that `body` asks for; returns it as it is now.

    Raises:
        RequestError, PreviousResponseNotFound, ModelNotFound, ModelUnavailable: see `api.responses.turn.begin`.
        QueueUnavailable: nothing was stored.
    """
    turns: TurnService = request.state.turns
    personas: PersonaService = request.state.personas
    responses: ResponseStore = request.state.responses
    said, turn = await read_request(request, caller, body)
    model = turns.check(await prepared(turns, personas, turn))
    asked, task_id = BackgroundRequest.of(body, request.headers, caller, model), token_hex(16)
    encoder = ResponseEncoder(asked.info(task_id))
    events = encoder.queued()
    new = NewTask(
        user_id=caller,
        session_id=task_id,  # no other task waits for it
        request=asked.to_json(),
        kind=RESPONSE,
        task_id=task_id,
        lines=frames(events),
        changes=[responses.addition(caller, said.previous, said.items, encoder.response)],
        undo=[responses.removal(encoder.response["id"])],
    )
    await _tasks(request).submit(new)
    return encoder.response


async def current(request: Request, caller: str, stored: StoredResponse) -> Mapping[str, object]:
    """The response as it is now. One that has not ended is as far as its task is."""
    if stored.response["status"] not in UNFINISHED:
        return stored.response
    with suppress(TaskNotFound):
        record = await _tasks(request).get(_task_id(stored))
        if record.finished is None:
            return {**stored.response, "status": "queued" if record.status == "queued" else "in_progress"}
    responses: ResponseStore = request.state.responses
    stored = await responses.get(caller, stored.id)  # it has ended meanwhile
    if stored.response["status"] in UNFINISHED:
        problem = {"code": "server_error", "message": "The worker ended this response without an answer."}
        return {**stored.response, "status": "failed", "error": problem}
    return stored.response


async def follow(request: Request, response: Mapping[str, object], after: int | None = None) -> EventStream:
    """The response's events after the one with the sequence number `after`, until it ends.

    Closing the stream does not end the response. Raises RequestError: there are no events.
    """
    settings: Settings = request.state.settings
    if not response["background"]:
        problem = "This response cannot be streamed because it was not created with background=true."
        raise RequestError(problem, param="stream")
    task_id = str(response["id"]).removeprefix(ID_PREFIX)
    try:
        await _tasks(request).get(task_id)
    except TaskNotFound:
        problem = "The events of this response have been deleted. Read it without `stream`."
        raise RequestError(problem, param="stream") from None
    numbered = _Numbered(_tasks(request).events(task_id, 0 if after is None else after + 1))
    return EventStream(
        numbered.frames(), get_headers=dict, encode_error=numbered.error, keep_alive=settings.keep_alive_interval
    )


async def cancel(request: Request, caller: str, stored: StoredResponse) -> Mapping[str, object]:
    """Cancel the response, and return it. One that has ended stays as it is. Raises RequestError."""
    if not stored.response["background"]:
        raise RequestError("Cannot cancel a synchronous response. Close its connection instead.")
    if stored.response["status"] in UNFINISHED:
        with suppress(TaskNotFound):
            await _tasks(request).cancel(_task_id(stored))
    return await current(request, caller, stored)


async def forget(request: Request, stored: StoredResponse) -> None:
    """End the task of a response that is deleted, and delete its events."""
    if stored.response["background"]:
        await _tasks(request).delete(_task_id(stored))


class _Numbered:
    """The frames of a response, and the number of the newest event."""

    def __init__(self, events: AsyncGenerator[tuple[int, str], None]) -> None:
        self._events = events
        self._newest = 0

    async def frames(self) -> AsyncGenerator[bytes, None]:
        async with aclosing(self._events) as events:
            async for number, frame in events:
                self._newest = number
                yield frame.encode()

    def error(self, error: SwitchboardError) -> bytes:
        """The events cannot be read on; the response itself goes on."""
        problem = {**error_object(error)["error"], "type": "error", "sequence_number": self._newest}
        return sse([ResponseEvent("error", orjson.dumps(problem))])


def _task_id(stored: StoredResponse) -> str:
    return stored.id.removeprefix(ID_PREFIX)


def _tasks(request: Request) -> TaskService:
    tasks: TaskService = request.state.tasks
    return tasks
