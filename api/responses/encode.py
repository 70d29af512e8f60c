"""Encodes events as OpenAI's response events, or as one response. No I/O and no clock.

The first event of a turn brings `response.created` and `response.in_progress` with it, so that an error before it is an
HTTP status.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator
from contextlib import aclosing
from typing import Any, Final, NamedTuple

import orjson

from agent.events import Event, HandOff, ReasoningDelta, TextDelta, TurnFailed, TurnFinished, Usage
from api.responses.open_item import MESSAGE, REASONING, REFUSAL, TEXT, THOUGHT, ItemKind, OpenItem, OpenPart, PartKind
from api.responses.response_object import INCOMPLETE, Object, ResponseInfo, function_call, item_id
from api.responses.sent import NOTHING, Sent
from config.errors import SwitchboardError, TurnSuperseded


class ResponseEvent(NamedTuple):
    """An event of the stream: its type, and the JSON object with all of it."""

    type: str
    json: bytes


def sse(events: Iterable[ResponseEvent]) -> bytes:
    """The events as SSE."""
    return b"".join(b"event: %b\ndata: %b\n\n" % (each.type.encode(), each.json) for each in events)


def frames(events: Iterable[ResponseEvent]) -> list[str]:
    """Each of the events as SSE, as a task stores them."""
    return [sse([each]).decode() for each in events]


ENDS: Final = ("response.completed", "response.incomplete", "response.failed")
"""The types of a last event."""

Save = Callable[[Object], Awaitable[bool]]
"""Stores a response, and says whether it could."""


async def unsaved(_: Object) -> bool:
    """Stores nothing."""
    return False


class ResponseEncoder:
    """Encodes the events of one turn; a response that has finished is stored with `save` before its last event.

    `earlier` is what an encoder before this one has sent of the response. `response` is the response at its end.
    """

    def __init__(self, info: ResponseInfo, save: Save = unsaved, earlier: Sent = NOTHING) -> None:
        self._info = info
        self._save = save
        self._number, self._items, self._item = earlier.events, earlier.items, earlier.open
        self._output: list[Object] = []
        self._usage = Usage()
        self.response: Object = {}

    @property
    def has_begun(self) -> bool:
        """Whether there was an event."""
        return self._number > 0

    async def stream(self, events: AsyncGenerator[Event, None]) -> AsyncGenerator[list[ResponseEvent], None]:
        """The response events, together those of one event of the turn.

        Raises:
            SwitchboardError: the turn failed. If the response has started, encode it with `failed`.
        """
        async with aclosing(events):
            async for event in events:
                ended = _unless_superseded(event)
                encoded = [*([] if self._number else self._begin()), *self._encoded(ended)]
                if isinstance(ended, TurnFinished):
                    encoded.append(self._end(await self._finished(ended.reason, superseded=ended is not event)))
                if encoded:
                    yield encoded

    async def whole(self, events: AsyncGenerator[Event, None]) -> Object:
        """The response without streaming: the fold of the same events.

        Raises:
            SwitchboardError: the turn failed.
        """
        reason, superseded = "stop", False
        async with aclosing(events):
            async for event in events:
                ended = _unless_superseded(event)
                if superseded := ended is not event:
                    self._item, self._output = None, []
                if isinstance(ended, TurnFinished):
                    reason = ended.reason
                for _ in self._encoded(ended):
                    pass
        return await self._finished(reason, superseded=superseded)

    async def unsaid(self) -> list[ResponseEvent]:
        """All events of a response without output, for which no turn runs."""
        return [*self._begin(), self._end(await self._finished("stop", superseded=False))]

    def queued(self) -> list[ResponseEvent]:
        """The first events of a response in the background, before its turn begins."""
        self.response = self._info.response("queued")
        kinds = ("response.created", "response.queued")
        return [self._event(kind, response=self.response) for kind in kinds]

    def in_progress(self) -> list[ResponseEvent]:
        """The turn of a response in the background begins, or begins again.

        The item that an earlier encoder has begun ends as incomplete, and is no part of the response.
        """
        closed = [*self._close("incomplete")]
        self._items, self._output = self._items + len(self._output), []
        return [*closed, self._event("response.in_progress", response=self._info.response("in_progress"))]

    def cancelled(self) -> list[ResponseEvent]:
        """The end of a stream whose response was cancelled. OpenAI's events have no other word for it."""
        closed = [*self._close("incomplete")]
        self.response = self._info.cancelled(self._output)
        return [*closed, self._event("response.incomplete", response=self.response)]

    def failed(self, error: SwitchboardError) -> list[ResponseEvent]:
        """The end of a stream whose turn failed."""
        begun = [] if self._number else [*self._begin()]
        closed = [*self._close("incomplete")]
        return [*begun, *closed, self._end(self._info.failed(error, self._output))]

    def _begin(self) -> Iterator[ResponseEvent]:
        begun = self._info.response("in_progress")
        yield self._event("response.created", response=begun)
        yield self._event("response.in_progress", response=begun)

    def _encoded(self, event: Event) -> Iterator[ResponseEvent]:
        match event:
            case TextDelta(text, refusal):
                yield from self._add(text, MESSAGE, REFUSAL if refusal else TEXT)
            case ReasoningDelta(text):
                yield from self._add(text, REASONING, THOUGHT)
            case HandOff():
                yield from self._close()
                yield from self._call(event)
            case Usage():
                self._usage = event
            case TurnFinished(reason):
                if self._item is None and not self._output:
                    # Superseded before it said anything; clients want a message.
                    yield from self._add("", MESSAGE, TEXT)
                yield from self._close("incomplete" if reason in INCOMPLETE else "completed")

    def _add(self, text: str, item_kind: ItemKind, part_kind: PartKind) -> Iterator[ResponseEvent]:
        item = self._item
        if item is None or item.kind is not item_kind:
            yield from self._close()
            index = self._items + len(self._output)
            item = self._item = OpenItem(item_kind, item_id(item_kind.prefix, self._info.key, index), index)
            yield self._event("response.output_item.added", output_index=index, item=item.object("in_progress"))
        part = item.part
        if part is None or part.kind is not part_kind:
            yield from self._close_part(item)
            part = item.part = OpenPart(part_kind, item)
            yield self._event(f"{part_kind.part_event}.added", **part.place, part=part.object())
        delta = part.delta(text, self._number)
        self._number += 1
        yield ResponseEvent(f"{part_kind.text_event}.delta", delta)

    def _close_part(self, item: OpenItem) -> Iterator[ResponseEvent]:
        if (part := item.part) is None:
            return
        kind, whole = part.kind, part.object()
        yield self._event(f"{kind.text_event}.done", **part.place, **kind.extra, **{kind.key: whole[kind.key]})
        yield self._event(f"{kind.part_event}.done", **part.place, part=whole)
        item.parts.append(whole)
        item.part = None

    def _close(self, status: str = "completed") -> Iterator[ResponseEvent]:
        if (item := self._item) is None:
            return
        yield from self._close_part(item)
        self._item = None
        self._output.append(item.object(status))
        yield self._event("response.output_item.done", output_index=item.index, item=self._output[-1])

    def _call(self, call: HandOff) -> Iterator[ResponseEvent]:
        index = self._items + len(self._output)
        call_item = item_id("fc", self._info.key, index)
        place, whole = {"item_id": call_item, "output_index": index}, function_call(call_item, call)
        text, added = whole["arguments"], function_call(call_item, call, done=False)
        yield self._event("response.output_item.added", output_index=index, item=added)
        yield self._event("response.function_call_arguments.delta", **place, delta=text)
        yield self._event("response.function_call_arguments.done", **place, name=call.name, arguments=text)
        self._output.append(whole)
        yield self._event("response.output_item.done", output_index=index, item=whole)

    async def _finished(self, reason: str, *, superseded: bool) -> Object:
        """The response at its end, which says whether it is stored. A superseded one is not."""
        response = {**self._info.finished(reason, self._output, self._usage), "store": True}
        stored = not superseded and await self._save(response)
        return {**response, "store": stored}

    def _end(self, response: Object) -> ResponseEvent:
        self.response = response
        return self._event(f"response.{response['status']}", response=response)

    def _event(self, kind: str, **fields: Any) -> ResponseEvent:
        number, self._number = self._number, self._number + 1
        return ResponseEvent(kind, orjson.dumps({"type": kind, **fields, "sequence_number": number}))


def _unless_superseded(event: Event) -> Event:
    """A superseded turn ends as a finished one: clients send a request with an error again, and would supersede the
    newer one with it.

    Raises:
        SwitchboardError: the turn failed.
    """
    match event:
        case TurnFailed(TurnSuperseded()):
            return TurnFinished("stop")
        case TurnFailed(error):
            raise error
    return event
