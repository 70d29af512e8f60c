"""The graph's steps -> events. The only module that knows LangGraph's stream modes."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any
from unicodedata import east_asian_width

from langchain_core.messages import AIMessage, AnyMessage, ToolMessage
from langgraph.types import Command

from agent.events import (
    Event,
    Filler,
    FinishReason,
    HandOff,
    ReasoningDelta,
    ReviewRequested,
    TextDelta,
    ToolFinished,
    ToolStarted,
    TurnFinished,
    Usage,
)
from agent.graph import AgentGraph
from agent.message_usage import message_usage
from agent.run_output import RunOutput
from agent.start_gate import StartGate
from agent.storage.database import storage_errors
from agent.storage.fence import ClaimedThread
from agent.tools.tool_record import ToolRecord
from agent.tools.transfer_call import CALL_CONTROLS
from agent.turn_context import TurnContext

FINISH_REASONS: dict[str, FinishReason] = {"length": "length", "content_filter": "content_filter"}


@dataclass(frozen=True, slots=True)
class AgentInput:
    """What a turn gives to the graph: `messages`, which follow those of the stored `thread` if there is one,
    or the `answers` to the thread's interrupts, by interrupt id.
    """

    messages: Sequence[AnyMessage] = ()
    thread: ClaimedThread | None = None
    answers: Mapping[str, Any] | None = None


class AgentRun:
    """One turn of the agent. Read `events()` once.

    `produced` are the messages and tool results that are complete so far, `unfinished` is the text of the next one.
    """

    def __init__(
        self,
        graph: AgentGraph,
        hand_off_names: frozenset[str],
        given: AgentInput,
        context: TurnContext,
        gate: StartGate,
    ) -> None:
        self._graph = graph
        self._hand_off_names = hand_off_names
        self._given = given
        self._context = context
        self._gate = gate
        self._joiner = TextJoiner()
        self.produced: list[AnyMessage] = []
        self.unfinished = ""

    @property
    def tool_records(self) -> Sequence[ToolRecord]:
        """The tool calls so far."""
        return self._context.tool_records

    @property
    def asked(self) -> Sequence[AnyMessage]:
        """The messages that the turn was given. A turn that goes on after a review has none."""
        return self._given.messages

    async def events(self) -> AsyncGenerator[Event, None]:
        """The turn's events, up to `Usage` and `TurnFinished`.

        LangGraph ends a run after every call of a hand-off tool, also after a refused one. In that case the agent runs
        once more, because the model has to tell the caller.

        Raises:
            SwitchboardError: what neither the router nor the agent could handle.
        """
        usage, given = Usage(), self._given
        while True:
            run = _Run()
            output = RunOutput[Any]()
            self._context.say = output.say
            async with aclosing(output.merged(self._steps(given))) as merged:
                async for item in merged:
                    for event in self._events(run, item):
                        yield event
            usage += run.usage
            if run.reviews or run.accepted or not run.refused:
                break
            given = AgentInput(() if given.thread else [*given.messages, *run.messages], given.thread)
        # A hand-off beside a call that waits for a review is repeated after the review, when the step is complete.
        for event in list(run.reviews.values()) or run.hand_offs():
            yield event
        yield replace(usage, cost=self._context.turn.record.cost)
        yield TurnFinished("interrupted" if run.reviews else "tool_calls" if run.accepted else run.finish_reason)

    async def _steps(self, given: AgentInput) -> AsyncGenerator[Mapping[str, Any], None]:
        """What each step of the graph adds to its state, by node."""
        # TurnContext bounds the steps, so that the last one can still speak; LangGraph's own bound must not come first.
        config: dict[str, Any] = {"recursion_limit": 4 * self._context.max_steps + 10}
        options: dict[str, Any] = {}
        if given.thread is not None:
            config |= given.thread.config()
            options["durability"] = "sync"  # a tool must not run before its call is stored
        start: Any = {"messages": list(given.messages)}
        if given.answers is not None:
            start = Command(resume=dict(given.answers))
        # A stored thread waits for the database while it sets up, and must not keep others waiting.
        gate = self._gate.turn(self._context) if given.thread is None else nullcontext()
        async with gate:
            with storage_errors():
                steps: AsyncGenerator[Any, None] = self._graph.astream(
                    start, config, context=self._context, stream_mode="updates", **options
                )  # type: ignore[call-overload]
                async with aclosing(steps):
                    async for step in steps:
                        yield step

    def _events(self, run: _Run, item: Any) -> Iterator[Event]:
        match item:
            case TextDelta(text, refusal):
                self.unfinished += text
                yield TextDelta(self._joiner.join(text), refusal)
            case ReasoningDelta():
                yield item
            case Filler(text, call_id):
                yield Filler(self._joiner.join_aside(text), call_id)
            case Mapping():
                cached = bool(item.get("__metadata__", {}).get("cached"))
                for interrupt in item.get("__interrupt__", ()):
                    run.reviews[interrupt.id] = ReviewRequested(interrupt.id, interrupt.value)
                for message in _messages(item):
                    yield from self._message_events(run, message, cached=cached)

    def _message_events(self, run: _Run, message: AnyMessage, *, cached: bool) -> Iterator[Event]:
        """`cached` marks the result of a step that an earlier turn began; only its result is news."""
        if not cached:
            self.produced.append(message)
            self.unfinished = ""
            run.messages.append(message)
        if isinstance(message, ToolMessage):
            yield from self._result_events(run, message)
        elif isinstance(message, AIMessage) and not cached:
            self._joiner.end_text()
            run.count(message)
            for call in message.tool_calls:
                if self._runs_here(call["name"]):
                    yield ToolStarted(str(call["id"]), call["name"], call["args"])

    def _runs_here(self, name: str) -> bool:
        """Whether this server runs the tool. A model may also call a transfer under a name that nobody offered."""
        return name not in self._hand_off_names and name not in CALL_CONTROLS

    def _result_events(self, run: _Run, message: ToolMessage) -> Iterator[Event]:
        name = message.name or ""
        if name not in self._hand_off_names:
            if self._runs_here(name):
                yield ToolFinished(message.tool_call_id, name, str(message.text), message.status == "success")
        elif message.status == "error" or not isinstance(message.artifact, Mapping):
            run.refused = True  # only what the tool itself accepted is handed off
        else:
            run.accepted[message.tool_call_id] = HandOff(message.tool_call_id, name, message.artifact)


@dataclass(slots=True)
class _Run:
    """What one run of the graph brought. `refused`: a hand-off was refused."""

    messages: list[AnyMessage] = field(default_factory=list)
    reviews: dict[str, ReviewRequested] = field(default_factory=dict)
    accepted: dict[str, HandOff] = field(default_factory=dict)
    refused: bool = False
    usage: Usage = field(default_factory=Usage)
    finish_reason: FinishReason = "stop"

    def count(self, message: AIMessage) -> None:
        self.finish_reason = FINISH_REASONS.get(message.response_metadata.get("finish_reason", ""), "stop")
        self.usage += message_usage([message])

    def hand_offs(self) -> list[HandOff]:
        """The accepted hand-offs, in the order of the model's calls."""
        answers = [each for each in self.messages if isinstance(each, AIMessage)]
        calls = [call["id"] for answer in answers for call in answer.tool_calls]
        in_order = [each for each in calls if each in self.accepted] or self.accepted
        return [self.accepted[each] for each in in_order if each is not None]


def _messages(updates: Mapping[str, Any]) -> Iterator[AnyMessage]:
    """The messages that the graph's nodes added. Hooks may add none."""
    for node, update in updates.items():
        if not node.startswith("__"):
            for each in update if isinstance(update, list) else [update]:
                yield from (each or {}).get("messages", ())


class TextJoiner:
    """Joins the texts before and after a tool call: two texts to the model, one speech to the caller."""

    def __init__(self) -> None:
        self._last = ""
        self._ended = False

    def end_text(self) -> None:
        """The next text is a new one."""
        self._ended = True

    def join(self, text: str) -> str:
        """`text`, with a space in front where it would run into the last word of the text before."""
        apart = not self._ended or not self._last or self._last.isspace() or text[0].isspace()
        # Chinese and Japanese are written without spaces.
        apart = apart or any(east_asian_width(each) in "WF" for each in (self._last, text[0]))
        self._last, self._ended = text[-1], False
        return text if apart else f" {text}"

    def join_aside(self, text: str) -> str:
        """`text`, which is neither the text before nor the one after it.

        A space follows: speech synthesis that waits for the end of a sentence takes it as ended.
        """
        self._ended = True
        joined = self.join(text if east_asian_width(text[-1]) in "WF" else f"{text} ")
        self._ended = True
        return joined
