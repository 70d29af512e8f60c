"""LangGraph's stream becomes events. The only file that knows LangGraph's stream modes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from unicodedata import east_asian_width

from langchain_core.messages import AIMessage, AnyMessage, ToolMessage

from agent.events import Event, FinishReason, HandOff, TextDelta, ToolFinished, ToolStarted, TurnFinished, Usage
from agent.graph import AgentGraph, End, TurnContext

FINISH_REASONS: dict[str, FinishReason] = {"length": "length", "content_filter": "content_filter"}


async def run_agent(
    graph: AgentGraph, messages: Sequence[AnyMessage], context: TurnContext
) -> AsyncGenerator[Event, None]:
    """Run one turn on `messages` and yield what happens, up to `Usage` and `TurnFinished`.

    LangGraph ends a run after any call of a hand-off tool, also when it was refused. Then the agent goes on from there,
    since the model has to tell the caller.

    Raises:
        SwitchboardError: what the router or the agent could not mend.
    """
    history = list(messages)
    usage = Usage()
    spoken = Seam()
    while True:
        run = _Run(context.tools.hand_offs, spoken)
        async with aclosing(_stream(graph, history, context)) as stream:
            async for said in stream:
                for event in run.take(said):
                    yield event
        usage += run.usage
        for hand_off in run.hand_offs:
            yield hand_off
        if run.hand_offs or not run.refused:
            break
        history += run.messages
    yield usage
    yield TurnFinished("tool_calls" if run.hand_offs else run.finish_reason)


async def _stream(
    graph: AgentGraph, history: list[AnyMessage], context: TurnContext
) -> AsyncGenerator[str | AnyMessage, None]:
    """The model's text as it comes, and each message when it is whole. What else is put into `context.said` ends it."""
    running = asyncio.create_task(_run_graph(graph, history, context))
    try:
        while not isinstance(each := await context.said.get(), End):
            yield each
        if each.error is not None:
            raise each.error
        await running
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def _run_graph(graph: AgentGraph, history: list[AnyMessage], context: TurnContext) -> None:
    # The steps are bounded by the context, which can still say something; LangGraph's own bound is out of the way.
    config = {"recursion_limit": 4 * context.max_steps + 10}
    stream = graph.astream({"messages": history}, config, context=context, stream_mode="updates")  # type: ignore[call-overload]
    try:
        async with aclosing(stream):
            async for updates in stream:
                for update in updates.values():
                    for message in update["messages"]:
                        context.said.put_nowait(message)
    finally:
        context.said.put_nowait(End())


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
    """Reads one run of the graph: the model's text, its whole messages, tool messages."""

    def __init__(self, hand_off_names: frozenset[str], spoken: Seam) -> None:
        self._hand_off_names = hand_off_names
        self._spoken = spoken
        self._accepted: dict[str, HandOff] = {}
        self.refused = False
        self.messages: list[AnyMessage] = []
        self.usage = Usage()
        self.finish_reason: FinishReason = "stop"

    @property
    def hand_offs(self) -> list[HandOff]:
        """The accepted ones, in the order in which the model called them."""
        called = [
            call["id"] for message in self.messages if isinstance(message, AIMessage) for call in message.tool_calls
        ]
        return [self._accepted[call_id] for call_id in called if call_id in self._accepted]

    def take(self, said: str | AnyMessage) -> list[Event]:
        if isinstance(said, str):
            return [TextDelta(self._spoken.joined(said))]
        self.messages.append(said)
        if isinstance(said, AIMessage):
            return self._take_answer(said)
        if isinstance(said, ToolMessage):
            return self._take_result(said)
        return []

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

    def _take_result(self, message: ToolMessage) -> list[Event]:
        name = message.name or ""
        if name not in self._hand_off_names:
            return [ToolFinished(message.tool_call_id, name, str(message.text), message.status == "success")]
        if message.status == "error":
            self.refused = True
        else:
            self._accepted[message.tool_call_id] = HandOff(message.tool_call_id, name, message.artifact)
        return []
