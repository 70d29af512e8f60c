"""LangGraph's stream becomes events. The only file that knows LangGraph's stream modes."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any
from unicodedata import east_asian_width

from langchain_core.messages import AIMessage, AIMessageChunk, AnyMessage, ToolCall, ToolMessage

from agent.events import Event, FinishReason, HandOff, TextDelta, ToolFinished, ToolStarted, TurnFinished, Usage
from agent.graph import AgentGraph, TurnContext

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
            async for message in stream:
                for event in run.take(message):
                    yield event
        usage = Usage(usage.input_tokens + run.usage.input_tokens, usage.output_tokens + run.usage.output_tokens)
        for hand_off in run.hand_offs:
            yield hand_off
        if run.hand_offs or not run.refused:
            break
        history += run.messages
    yield usage
    yield TurnFinished("tool_calls" if run.hand_offs else run.finish_reason)


async def _stream(graph: AgentGraph, history: list[AnyMessage], context: TurnContext) -> AsyncGenerator[Any, None]:
    # The steps are bounded by the context, which can still say something; LangGraph's own bound is out of the way.
    config = {"recursion_limit": 4 * context.max_steps + 10}
    stream = graph.astream({"messages": history}, config, context=context, stream_mode="messages")  # type: ignore[call-overload]
    async with aclosing(stream):
        async for message, _ in stream:
            yield message


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
    """Reads one run of the graph: a model's chunks, whole tool calls, tool messages."""

    def __init__(self, hand_off_names: frozenset[str], spoken: Seam) -> None:
        self._hand_off_names = hand_off_names
        self._spoken = spoken
        self._text: list[str] = []
        self._calls: list[ToolCall] = []
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

    def take(self, message: AnyMessage) -> list[Event]:
        if isinstance(message, AIMessageChunk):
            return self._take_chunk(message)
        if isinstance(message, ToolMessage):
            return self._take_result(message)
        return []

    def _take_chunk(self, chunk: AIMessageChunk) -> list[Event]:
        events: list[Event] = []
        if chunk.content:
            text = chunk.content if isinstance(chunk.content, str) else str(chunk.text)
            self._text.append(text)
            events.append(TextDelta(self._spoken.joined(text)))
        if chunk.tool_call_chunks:
            # The router hands tool calls over whole, so one chunk's are complete.
            self._calls += chunk.tool_calls
            events += [
                ToolStarted(str(call["id"]), call["name"], call["args"])
                for call in chunk.tool_calls
                if call["name"] not in self._hand_off_names
            ]
        if reason := chunk.response_metadata.get("finish_reason"):
            self.finish_reason = FINISH_REASONS.get(reason, "stop")
        if counted := chunk.usage_metadata:
            self.usage = Usage(
                self.usage.input_tokens + counted["input_tokens"], self.usage.output_tokens + counted["output_tokens"]
            )
        return events

    def _take_result(self, message: ToolMessage) -> list[Event]:
        self._close_step()
        self.messages.append(message)
        name = message.name or ""
        if name not in self._hand_off_names:
            return [ToolFinished(message.tool_call_id, name, str(message.text), message.status == "success")]
        if message.status == "error":
            self.refused = True
        else:
            self._accepted[message.tool_call_id] = HandOff(message.tool_call_id, name, message.artifact)
        return []

    def _close_step(self) -> None:
        """The model's message is whole once a tool answers it."""
        self._spoken.close()
        if self._text or self._calls:
            self.messages.append(AIMessage(content="".join(self._text), tool_calls=self._calls))
            self._text, self._calls = [], []
