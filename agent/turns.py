"""One turn: the single way in. It chooses the tools, starts the deadline, takes over from an older turn and never
raises late.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import orjson
import structlog
from langchain_core.messages import AnyMessage, SystemMessage

from agent.events import Event, TurnFailed, TurnFinished, Usage
from agent.graph import AgentGraph, End, TurnContext, compile_graph
from agent.stream import run_agent
from agent.tools.caller_tools import CallerTool
from agent.tools.tool_set import ToolSet, tool_set
from config.agent_file import AgentProfile
from config.errors import DeadlineExceeded, SwitchboardError, TurnSuperseded
from router.failover import FailoverRouter, RoutedTurn, Wishes
from router.turn_record import TurnRecord

log = structlog.get_logger(__name__)

COMPILED_TOOL_SETS = 64
"""How many compiled graphs are kept: one for each set of caller tools that is in use."""


@dataclass(frozen=True, slots=True)
class TurnRequest:
    """What a caller asks for. `model` None means the default; `params` are OpenAI's sampling parameters.

    `session_key` names the call that the turn belongs to: a newer request on the same key supersedes the older one.
    `wishes` are what the caller wants of the routing.
    """

    model: str | None
    messages: Sequence[AnyMessage]
    caller_tools: Sequence[CallerTool] = ()
    tool_choice: str | Mapping[str, Any] | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    session_key: str | None = None
    wishes: Wishes = field(default_factory=Wishes)


class Turn:
    """One running turn. Read `events()` once, to its end or to `aclose()`; `record` fills up meanwhile."""

    def __init__(self, routed: RoutedTurn, graph: AgentGraph, messages: Sequence[AnyMessage], context: TurnContext):
        self._routed = routed
        self._graph = graph
        self._messages = messages
        self._context = context
        self._deadline = asyncio.get_running_loop().time() + routed.deadline - routed.router.clock()
        self._ended: Event | None = None
        self._usage = Usage()

    @property
    def record(self) -> TurnRecord:
        return self._routed.record

    async def events(self) -> AsyncGenerator[Event, None]:
        """What happens, ending with `TurnFinished` or `TurnFailed`. Cancelling it cancels everything down to the
        vendor.
        """
        began = self._routed.router.clock()
        try:
            async with aclosing(self._events()) as events:
                async for event in events:
                    match event:
                        case Usage():
                            self._usage = event
                        case TurnFinished() | TurnFailed():
                            self._ended = event
                    yield event
        finally:
            try:
                await self._routed.aclose()
            finally:
                self._log_turn(self._routed.router.clock() - began)

    def supersede(self) -> None:
        """End the turn now, from outside: a newer request on its session took over."""
        self._end(TurnSuperseded("A newer request on this session took over."))

    def _end(self, error: SwitchboardError) -> None:
        self._context.said.put_nowait(End(error))

    async def _events(self) -> AsyncGenerator[Event, None]:
        late = DeadlineExceeded("The answer did not come within the time that a turn may take.")
        deadline = asyncio.get_running_loop().call_at(self._deadline, self._end, late)
        try:
            async with aclosing(run_agent(self._graph, self._messages, self._context)) as events:
                async for event in events:
                    yield event
        except SwitchboardError as error:
            yield TurnFailed(error)
        except Exception:
            # A bug is ours, and the caller on the line still needs an end.
            log.exception("turn_crashed", model=self.record.asked)
            yield TurnFailed(SwitchboardError("Something went wrong here. The operator finds the reason in the log."))
        finally:
            deadline.cancel()

    def _log_turn(self, seconds: float) -> None:
        """One line for each turn: who served, how it went, how long it took. No content and no keys."""
        match self._ended:
            case TurnFinished(reason):
                outcome: str = reason
            case TurnFailed(error):
                outcome = error.code
            case _:
                outcome = "cancelled"
        log.info(
            "turn",
            outcome=outcome,
            model=self.record.asked,
            served=self.record.served_model,
            deployment=self.record.served_deployment,
            attempts=[f"{each.deployment} {each.outcome} {each.seconds * 1000:.0f}ms" for each in self.record.attempts],
            ms=round(seconds * 1000),
            input_tokens=self._usage.input_tokens,
            output_tokens=self._usage.output_tokens,
            cost=self.record.cost,
            first_token_ms=None if (first := self.record.first_token) is None else round(first * 1000),
        )


class TurnService:
    """Begins turns. `profile` is the agent that all of them run."""

    def __init__(self, router: FailoverRouter, profile: AgentProfile) -> None:
        self.router = router
        self.profile = profile
        self._graphs: dict[bytes, tuple[ToolSet, AgentGraph]] = {}
        self._running: dict[str, Turn] = {}

    def use(self, profile: AgentProfile) -> None:
        """Turns that begin from now on run `profile`; those that run keep the one they began with."""
        self.profile = profile
        self._graphs = {}

    def begin(self, request: TurnRequest) -> Turn:
        """Begin a turn; it runs while its events are read.

        Raises:
            ModelNotFound, ModelUnavailable: see `FailoverRouter.begin`.
        """
        routed = self.router.begin(request.model, request.wishes)
        tools, graph = self._graph_for(request.caller_tools)
        context = TurnContext(routed, request.params, tools, request.tool_choice, self.profile.max_steps)
        return Turn(routed, graph, self._with_system_prompt(request.messages), context)

    async def run(self, turn: Turn, session_key: str | None = None) -> AsyncGenerator[Event, None]:
        """The turn's events; on a session, a turn that still runs there is superseded first."""
        if session_key is not None:
            if older := self._running.get(session_key):
                older.supersede()
            self._running[session_key] = turn
        try:
            async with aclosing(turn.events()) as events:
                async for event in events:
                    yield event
        finally:
            if session_key is not None and self._running.get(session_key) is turn:
                del self._running[session_key]

    def _graph_for(self, caller_tools: Sequence[CallerTool]) -> tuple[ToolSet, AgentGraph]:
        key = orjson.dumps([(tool.name, tool.description, tool.parameters, tool.strict) for tool in caller_tools])
        known = self._graphs.pop(key, None)
        if known is None:
            tools = tool_set(self.profile, caller_tools)
            known = tools, compile_graph(tools)
        self._graphs[key] = known  # the dict's order is the order of last use
        if len(self._graphs) > COMPILED_TOOL_SETS:
            del self._graphs[next(iter(self._graphs))]
        return known

    def _with_system_prompt(self, messages: Sequence[AnyMessage]) -> list[AnyMessage]:
        theirs = any(isinstance(message, SystemMessage) for message in messages)
        if theirs and self.profile.system_prompt_mode == "replace":
            return list(messages)
        return [SystemMessage(content=self.profile.system_prompt), *messages]
