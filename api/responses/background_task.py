"""The tasks that run responses in the background. Their events are those of a streamed response."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any

from langchain_core.messages import AIMessage, AnyMessage, ToolMessage, messages_from_dict, messages_to_dict

from agent.events import Event, TextDelta, ToolFinished, ToolStarted, Usage
from agent.message_usage import message_usage
from agent.personas.service import PersonaService
from agent.responses.store import ResponseStore
from agent.sessions.thread_repair import missing_results
from agent.stream import TextJoiner
from agent.tasks.event_log import EventLog
from agent.tasks.kind import Ending
from agent.tasks.record import TaskRecord, TaskStatus
from agent.tasks.task_run import CANCELLED
from agent.turn import Turn
from agent.turn_request import TurnRequest
from agent.turns import TurnService
from api.http.turn_response import prepared
from api.responses.background_request import BackgroundRequest
from api.responses.encode import ENDS, ResponseEncoder, ResponseEvent, frames, sse
from api.responses.response_object import ID_PREFIX, Object
from api.responses.sent import Sent, sent_by
from api.responses.stored_items import conversation
from config.errors import SwitchboardError, TurnCancelled


@dataclass(frozen=True, slots=True)
class ResponseTasks:
    """The `TaskKind` of responses in the background."""

    turns: TurnService
    personas: PersonaService
    responses: ResponseStore
    max_tools: int

    def attempt(self, record: TaskRecord, claim_id: str, earlier: Sequence[str]) -> ResponseAttempt:
        return ResponseAttempt(self, record, sent_by(earlier) if earlier else Sent(record.events))

    def cancelled(self, record: TaskRecord) -> Ending:
        return ResponseAttempt(self, record, Sent(record.events)).failed(TurnCancelled(CANCELLED))


class ResponseAttempt:
    """One attempt at a response, after what earlier ones have `sent`.

    It goes on after the last complete step. Who reads the stream is told the text of the steps before once more, in an
    item of its own, because the item that was interrupted cannot be taken back.
    """

    def __init__(self, tasks: ResponseTasks, record: TaskRecord, sent: Sent) -> None:
        self._tasks = tasks
        self._record = record
        self._asked = BackgroundRequest.from_json(record.request)
        self._earlier = _to_go_on_with(record.produced or ())
        self._turn: Turn | None = None
        info = self._asked.info(record.task_id, self._serving_model, self._provider_fields)
        self._encoder = ResponseEncoder(info, _stored_at_the_end, sent)

    @property
    def has_begun(self) -> bool:
        return self._turn is not None

    async def run(self, log: EventLog) -> Ending:
        turn = self._turn = self._tasks.turns.begin(await self._request())
        _add(log, self._encoder.in_progress())
        last: Sequence[ResponseEvent] = ()
        async with aclosing(self._encoder.stream(self._events(turn, log))) as stream:
            async for together in stream:
                if together[-1].type in ENDS:
                    last = together
                else:
                    _add(log, together)
        return self._ending("completed", last)

    def cancel(self) -> None:
        if self._turn is not None:
            self._turn.end(TurnCancelled(CANCELLED))

    def failed(self, error: SwitchboardError) -> Ending:
        if isinstance(error, TurnCancelled):
            return self._ending("cancelled", self._encoder.cancelled())
        return self._ending("error", self._encoder.failed(error))

    async def _request(self) -> TurnRequest:
        """The request for the turn, as if it came now. Raises as `TurnService.begin` and `CallerLimits.check` do."""
        tasks, asked = self._tasks, self._asked
        if tasks.turns.limits is not None:
            tasks.turns.limits.check(asked.caller)  # the task was submitted a while ago
        stored = await tasks.responses.get(asked.caller, f"{ID_PREFIX}{self._record.task_id}")
        said = await conversation(tasks.responses, asked.caller, stored.previous_id, stored.input)
        request = asked.body.turn_request(asked.headers, asked.caller, tasks.max_tools, said.items, said.earlier)
        request = await prepared(tasks.turns, tasks.personas, request)
        request = replace(request, turn_id=self._record.task_id, messages=[*request.messages, *self._earlier])
        # A choice of a tool holds for the first step.
        return replace(request, tool_choice=None) if self._earlier and request.tool_choice != "none" else request

    async def _events(self, turn: Turn, log: EventLog) -> AsyncGenerator[Event, None]:
        """The events of the whole turn. A tool runs only when its call is stored."""
        joiner, saved = TextJoiner(), 0
        for text in filter(None, (str(each.text) for each in self._earlier if isinstance(each, AIMessage))):
            yield TextDelta(joiner.join(text))
            joiner.end_text()
        async with aclosing(self._tasks.turns.run(turn)) as events:
            async for event in events:
                match event:
                    case TextDelta(text):
                        event = replace(event, text=joiner.join(text))
                    case ToolStarted() | ToolFinished() if len(turn.produced) > saved:
                        saved = len(turn.produced)
                        await log.save(_to_json([*self._earlier, *turn.produced]))
                    case Usage() if self._earlier:
                        event = replace(message_usage(self._earlier) + event, cost=event.cost)
                yield event

    def _ending(self, status: TaskStatus, last: Iterable[ResponseEvent]) -> Ending:
        response = self._encoder.response
        change = self._tasks.responses.change(response)
        return Ending(status, {"status": response["status"]}, frames(last), [change])

    def _serving_model(self) -> str | None:
        return self._turn.record.model if self._turn else None

    def _provider_fields(self) -> Mapping[str, str]:
        return self._turn.record.provider_fields if self._turn else {}


def _to_go_on_with(produced: Sequence[dict[str, Any]]) -> list[AnyMessage]:
    """What earlier attempts have produced. The result of a tool that ran when its worker died says so."""
    messages: list[Any] = [*messages_from_dict(produced)]
    return [*messages, *missing_results(messages)]


def _to_json(messages: Iterable[AnyMessage]) -> list[dict[str, Any]]:
    """The messages without what tools have returned beside their text, which need not be JSON."""
    return messages_to_dict(
        [each.model_copy(update={"artifact": None}) if isinstance(each, ToolMessage) else each for each in messages]
    )


async def _stored_at_the_end(_: Object) -> bool:
    """The response is stored in the transaction that ends its task."""
    return True


def _add(log: EventLog, events: Iterable[ResponseEvent]) -> None:
    for each in events:
        log.add(sse([each]).decode(), is_text=each.type.endswith(".delta"))
