"""LangGraph's stream becomes events. The only file that knows LangGraph's stream modes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final
from unicodedata import east_asian_width

from langchain_core.messages import AIMessage, AnyMessage, ToolMessage
from langgraph.types import Command, Interrupt

from agent.events import (
    Event,
    FinishReason,
    HandOff,
    ReviewRequested,
    TextDelta,
    ToolFinished,
    ToolStarted,
    TurnFinished,
    Usage,
)
from agent.graph import AgentGraph, Cached, End, Said, TurnContext, first_input
from agent.storage.database import storage_errors

OTHERS_FIRST: Final = 10
"""Rounds of the event loop for which LangGraph waits when the model was asked ahead: nobody waits for it as yet, but
others in the loop have their requests to send and their words to hand on. At 32 callers at once, half of the first
tokens came after 19 ms instead of 34; a caller alone loses nothing, since the provider is at work meanwhile.
"""

FINISH_REASONS: dict[str, FinishReason] = {"length": "length", "content_filter": "content_filter"}


@dataclass(frozen=True, slots=True)
class Start:
    """Where the agent starts: with `messages`, which follow those of the stored thread when there is one, or with the
    `answers` to what the thread waits for, by the interrupt's id.
    """

    messages: Sequence[AnyMessage] = ()
    thread_id: str | None = None
    answers: Mapping[str, Any] | None = None


async def run_agent(graph: AgentGraph, start: Start, context: TurnContext) -> AsyncGenerator[Event, None]:
    """Run one turn and yield what happens, up to `Usage` and `TurnFinished`.

    LangGraph ends a run after any call of a hand-off tool, also when it was refused. Then the agent goes on from there,
    since the model has to tell the caller.

    Raises:
        SwitchboardError: what the router or the agent could not mend.
    """
    usage = Usage()
    spoken = Seam()
    while True:
        run = _Run(context.tools.hand_offs, spoken)
        async with aclosing(_stream(graph, start, context)) as stream:
            async for said in stream:
                match said:
                    case str():
                        context.unfinished += said
                    case AIMessage() | ToolMessage():
                        context.unfinished = ""
                        context.produced.append(said)
                for event in run.take(said):
                    yield event
        usage += run.usage
        if run.reviews or run.hand_offs or not run.refused:
            break
        start = Start(() if start.thread_id else [*start.messages, *run.messages], start.thread_id)
    # What was handed over beside a call that waits comes after the review, when the step is whole.
    for event in run.reviews or run.hand_offs:
        yield event
    yield usage
    yield TurnFinished("interrupted" if run.reviews else "tool_calls" if run.hand_offs else run.finish_reason)


async def _stream(
    graph: AgentGraph, start: Start, context: TurnContext
) -> AsyncGenerator[str | AnyMessage | Interrupt | Cached, None]:
    """The model's text as it comes, and each message when it is whole. An `End` in `context.said` ends it."""
    tasks = [context.ask_ahead(start.messages)] if context.asks_ahead else []
    running = asyncio.create_task(_run_graph(graph, start, context))
    tasks.append(running)
    try:
        while not isinstance(each := await context.said.get(), End):
            yield each
        if each.error is not None:
            raise each.error
        await running
    finally:
        if going_on := [task for task in tasks if task.cancel()]:
            await asyncio.gather(*going_on, return_exceptions=True)


async def _run_graph(graph: AgentGraph, start: Start, context: TurnContext) -> None:
    stored = start.thread_id is not None
    # The steps are bounded by the context, which can still say something; LangGraph's own bound is out of the way.
    config: dict[str, Any] = {"recursion_limit": 4 * context.max_steps + 10}
    options: dict[str, Any] = {}
    if stored:
        config["configurable"] = {"thread_id": start.thread_id}
        options["durability"] = "sync"  # a tool must not run before it is stored that it was called
    given: Any = first_input(start.messages, stored=stored)
    if start.answers is not None:
        given = Command(resume=dict(start.answers))
    try:
        if context.asks_ahead:
            for _ in range(OTHERS_FIRST):
                await asyncio.sleep(0)
        with storage_errors():
            stream = graph.astream(given, config, context=context, stream_mode="updates", **options)  # type: ignore[call-overload]
            await _say_updates(stream, context.said)
    finally:
        context.said.put_nowait(End())


async def _say_updates(stream: AsyncGenerator[dict[str, Any], None], said: asyncio.Queue[Said]) -> None:
    async with aclosing(stream):
        async for updates in stream:
            cached = updates.pop("__metadata__", {}).get("cached", False)
            for interrupt in updates.pop("__interrupt__", ()):
                said.put_nowait(interrupt)
            for update in updates.values():
                for message in update["messages"]:
                    said.put_nowait(Cached(message) if cached else message)


class Seam:
    """Joins what the model says before and after a tool, which are two texts to it and one speech to the caller."""

    def __init__(self) -> None:
        self._last = ""
        self._closed = False

    def close(self) -> None:
        """The model's text has ended; the next begins a new one."""
        self._closed = True

    def joined(self, text: str) -> str:
        """`text`, with a space before it where a new text would run into the last word of the old one."""
        apart = not self._closed or not self._last or self._last.isspace() or text[0].isspace()
        # Chinese and Japanese are written without spaces.
        apart = apart or any(east_asian_width(each) in "WF" for each in (self._last, text[0]))
        self._last, self._closed = text[-1], False
        return text if apart else f" {text}"


class _Run:
    """Reads one run of the graph: the model's text, its whole messages, tool messages, interrupts."""

    def __init__(self, hand_off_names: frozenset[str], spoken: Seam) -> None:
        self._hand_off_names = hand_off_names
        self._spoken = spoken
        self._accepted: dict[str, HandOff] = {}
        self._reviews: dict[str, ReviewRequested] = {}
        self.refused = False
        self.messages: list[AnyMessage] = []
        self.usage = Usage()
        self.finish_reason: FinishReason = "stop"

    @property
    def hand_offs(self) -> list[Event]:
        """The accepted ones, in the order in which the model called them."""
        called = [
            call["id"] for message in self.messages if isinstance(message, AIMessage) for call in message.tool_calls
        ]
        in_order = [call_id for call_id in called if call_id in self._accepted] or self._accepted
        return [self._accepted[call_id] for call_id in in_order if call_id is not None]

    @property
    def reviews(self) -> list[Event]:
        """What waits for a person's decision."""
        return list(self._reviews.values())

    def take(self, said: str | AnyMessage | Interrupt | Cached) -> list[Event]:
        match said:
            case str():
                return [TextDelta(self._spoken.joined(said))]
            case Interrupt():
                self._reviews[said.id] = ReviewRequested(said.id, said.value)
                return []
            case Cached(message):
                self._take_result(message)
                return []
        self.messages.append(said)
        if isinstance(said, AIMessage):
            return self._take_answer(said)
        return self._take_result(said)

    def _take_answer(self, message: AIMessage) -> list[Event]:
        self._spoken.close()
        self.finish_reason = FINISH_REASONS.get(message.response_metadata.get("finish_reason", ""), "stop")
        if counted := message.usage_metadata:
            self.usage += Usage(counted["input_tokens"], counted["output_tokens"])
        return [
            ToolStarted(str(call["id"]), call["name"], call["args"])
            for call in message.tool_calls
            if call["name"] not in self._hand_off_names
        ]

    def _take_result(self, message: AnyMessage) -> list[Event]:
        if not isinstance(message, ToolMessage):
            return []
        name = message.name or ""
        if name not in self._hand_off_names:
            return [ToolFinished(message.tool_call_id, name, str(message.text), message.status == "success")]
        if message.status == "error":
            self.refused = True
        else:
            self._accepted[message.tool_call_id] = HandOff(message.tool_call_id, name, message.artifact)
        return []
