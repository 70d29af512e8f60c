"""The only call of create_react_agent. The graph depends on the tools alone, so it is compiled once for each set of
them.
"""

from __future__ import annotations

import asyncio
import operator
import warnings
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, NotRequired, TypedDict, cast

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AnyMessage
from langchain_core.runnables import Runnable, RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph.state import CompiledStateGraph
from langgraph.managed import RemainingSteps
from langgraph.prebuilt import ToolNode, create_react_agent
from langgraph.runtime import Runtime
from langgraph.types import Interrupt
from langgraph.warnings import LangGraphDeprecatedSinceV10

from agent.memory.long_term import LongTermMemory
from agent.tools.review import reviewing
from agent.tools.tool_set import ToolSet
from config.errors import StepLimitReached, SwitchboardError
from router.chat_model import chat_model
from router.failover import RoutedTurn

AgentGraph = CompiledStateGraph[Any, "TurnContext", Any, Any]

TO_AGENT: Final = "branch:to:agent"
"""LangGraph's channel whose writing runs the agent's node."""

View = Callable[[Sequence[AnyMessage]], Awaitable[list[AnyMessage]]]
"""What the model is sent of the messages that a thread holds: with the system prompt, and trimmed."""


@dataclass(frozen=True, slots=True)
class End:
    """Nothing more is said: the graph is through, or the turn was ended from outside, with `error`."""

    error: SwitchboardError | None = None


@dataclass(frozen=True, slots=True)
class Cached:
    """A message of a turn before, which stopped in the middle of a step."""

    message: AnyMessage


Said = str | AnyMessage | Interrupt | Cached | End


@dataclass(slots=True)
class TurnContext:
    """What the graph learns at run time: which model this turn runs on, and how it is to be asked.

    `params` are OpenAI's sampling parameters, `tool_choice` the caller's wish. `max_steps` bounds the model calls.
    `asks_ahead` begins a run by asking the model for what the run was given, see `ask_ahead`.
    `view` None sends the messages as they are. `user_id` and `memory` are for the tool that remembers. `answered` are
    the tool calls whose review this turn brings: they are answered, whatever agent.yaml says of their tools by now.
    `produced` are the messages that are whole, `unfinished` the text of the one that is not.
    `said` is what the reader of the turn waits for: the model's text as it comes, messages when they are whole. Text
    takes this way around the graph, since through LangGraph's "messages" stream each chunk would cost twice as much.
    """

    turn: RoutedTurn
    params: Mapping[str, Any]
    tools: ToolSet
    tool_choice: str | Mapping[str, Any] | None = None
    max_steps: int = 10
    asks_ahead: bool = False
    view: View | None = None
    user_id: str | None = None
    memory: LongTermMemory | None = None
    answered: frozenset[str] = frozenset()
    steps: int = field(default=0, init=False)
    said: asyncio.Queue[Said] = field(default_factory=asyncio.Queue, init=False)
    produced: list[AnyMessage] = field(default_factory=list, init=False)
    unfinished: str = field(default="", init=False)
    _ahead: _Step | None = field(default=None, init=False)

    def ask_ahead(self, messages: Sequence[AnyMessage]) -> asyncio.Task[Any]:
        """Ask the model of the next step now, so that the provider is at work while LangGraph sets out for that step.

        The caller cancels the task when it has come to nothing. Raises as `next_step` does.
        """
        self._ahead = self._new_step()
        return self._ahead.begin(messages)

    def next_step(self) -> Runnable[Any, Any]:
        """What LangGraph runs as the model of the next step.

        Raises:
            StepLimitReached: the last step was asked to do without tools, and called one all the same.
        """
        step, self._ahead = self._ahead, None
        return step or self._new_step()

    def _new_step(self) -> _Step:
        self.steps += 1
        if self.steps > self.max_steps:
            raise StepLimitReached(f"The agent did not come to an answer within {self.max_steps} steps.")
        params = {**self.params, **self._tool_params()}
        return _Step(chat_model(self.turn, params, self.said.put_nowait), self.view)

    def _tool_params(self) -> Mapping[str, Any]:
        if not self.tools.offered:
            return {}
        choice = self.tool_choice
        if self.steps == self.max_steps:
            choice = "none"  # the last step has to speak
        elif self.steps > 1 and choice != "none":
            choice = None  # a forced call is forced once: else the agent would call it for ever
        offered = {"tools": list(self.tools.offered)}
        return offered if choice is None else {**offered, "tool_choice": choice}


class _Unstored(TypedDict):
    """The state of a turn that leaves no thread: its messages only grow, so none needs an id to be replaced by."""

    messages: Annotated[list[AnyMessage], operator.add]
    remaining_steps: NotRequired[RemainingSteps]


def compile_graph(
    tools: ToolSet, checkpointer: BaseCheckpointSaver[Any] | None = None, *, traced: bool = True
) -> AgentGraph:
    """Compile the agent for one set of tools (about 6 ms); with a `checkpointer` it runs on stored threads.

    `traced`: somebody may listen to what LangChain tells of a run.
    """
    node = ToolNode(list(tools.tools), handle_tool_errors=True, awrap_tool_call=reviewing(tools.reviewed))
    with warnings.catch_warnings():
        # The project is defined on create_react_agent, which LangGraph 1.0 marks as moved to the langchain package.
        warnings.simplefilter("ignore", LangGraphDeprecatedSinceV10)
        graph: Any = create_react_agent(
            _model_of_turn,
            node if tools.tools else [],
            prompt=_History(),
            context_schema=TurnContext,
            checkpointer=checkpointer,
            state_schema=None if checkpointer else cast(Any, _Unstored),
        )
    steps = [graph.builder.nodes["agent"].runnable]
    for branches in graph.builder.branches.values():
        for branch in branches.values():
            steps.append(branch.path)
            # LangGraph would hop to a thread for these, at each step; they only look at the last messages.
            branch.path.afunc = None
    for step in steps:
        # Tracers see the node; the function in it would be a second run of the same name, in a task of its own.
        step.trace = False
    if checkpointer is None:
        # A step for nothing but to take the input in would be a fifth of LangGraph's time; stored threads keep it,
        # since it is part of what they store.
        graph.input_channels = ["messages", TO_AGENT]
        if not traced:
            agent = graph.nodes["agent"]
            graph.nodes["agent"] = agent.copy({"bound": _AgentNode(agent), "writers": []})
    return cast(AgentGraph, graph)


def first_input(messages: Sequence[AnyMessage], *, stored: bool) -> dict[str, Any]:
    """What a run begins with, on a stored thread or on none."""
    given: dict[str, Any] = {"messages": list(messages)}
    return given if stored else {**given, TO_AGENT: None}


class _History(Runnable[Any, Any]):
    """The prompt, which takes the state as it is. LangGraph pipes it into the model anew for each step; the sequence
    that LangChain would make of that costs more than the step.
    """

    def invoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        return input

    def __or__(self, other: Any) -> Any:
        return other


class _AgentNode(Runnable[Any, Any]):
    """The agent's node without the run that LangGraph tells tracers of: a fifth of its time when nobody listens."""

    def __init__(self, node: Any) -> None:
        self._agent = node.bound
        self._write, *self._branches = node.flat_writers

    def invoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        raise NotImplementedError("the agent runs in the event loop alone: use ainvoke")

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        update = await self._agent.ainvoke(input, config)
        await self._write.ainvoke(update, config)
        if update["messages"][-1].tool_calls:  # without any the run is over, which the branches would only confirm
            for branch in self._branches:
                await branch.ainvoke(update, config)
        return update


class _Step(Runnable[Any, Any]):
    """The model of one step, asked with what the turn shows it of the messages: when LangGraph is there, or before."""

    def __init__(self, model: BaseChatModel, view: View | None) -> None:
        self._model = model
        self._view = view
        self._begun: asyncio.Task[Any] | None = None

    def begin(self, messages: Sequence[AnyMessage]) -> asyncio.Task[Any]:
        """Ask now; LangGraph gets this answer, whatever it brings."""
        self._begun = asyncio.create_task(self._ask(messages))
        return self._begun

    def invoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        raise NotImplementedError("the agent runs in the event loop alone: use ainvoke")

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        return await (self._begun or self._ask(input["messages"], config))

    async def _ask(self, messages: Sequence[AnyMessage], config: RunnableConfig | None = None) -> Any:
        if self._view is not None:
            messages = await self._view(messages)
        return await self._model.ainvoke(messages, config)


def _model_of_turn(state: Any, runtime: Runtime[TurnContext]) -> Runnable[Any, Any]:
    return runtime.context.next_step()
