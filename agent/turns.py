"""The single way into a turn: it chooses the model, the tools and the graph."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any
from weakref import WeakSet

from langchain_core.messages import AnyMessage, SystemMessage
from langgraph.checkpoint.base import BaseCheckpointSaver

from agent.callers.limits import CallerLimits
from agent.chat_model import RoutedChatModel
from agent.compiled_graphs import CompiledGraphs
from agent.events import Event
from agent.latest_turns import LatestTurns
from agent.memory.long_term import LongTermMemory
from agent.memory.trim import system_prompt_length
from agent.memory.turn_memories import TurnMemories
from agent.start_gate import StartGate
from agent.statistics.statistics import Statistics
from agent.stream import AgentInput, AgentRun
from agent.tools.filler import SentenceTurns, StepFiller
from agent.tools.mcp.host import McpHost
from agent.tools.tool_set import own_tool_names
from agent.turn import Turn
from agent.turn_context import Prompt, TurnContext
from agent.turn_ids import TurnIds
from agent.turn_request import ThreadRequest, TurnRequest
from config.callers.caller import LiveCallers
from config.errors import ServerStopping, TokenWithdrawn
from config.profile.agent_file import AgentProfile
from router.failover import FailoverRouter, model_not_found
from router.routed_turn import RoutedTurn


class TurnService:
    """Begins turns. `profile` is the agent that all of them run.

    `mcp` are the servers whose tools it may call. With a `checkpointer` there are turns on stored threads; with a
    `memory` the agent knows users from one conversation to the next. `statistics` counts all turns. `callers` are those
    of callers.yaml, and `limits` what they may use; both are None for none.
    """

    def __init__(
        self,
        router: FailoverRouter,
        profile: AgentProfile,
        mcp: McpHost | None = None,
        checkpointer: BaseCheckpointSaver[Any] | None = None,
        memory: LongTermMemory | None = None,
        statistics: Statistics | None = None,
        callers: LiveCallers | None = None,
        limits: CallerLimits | None = None,
    ) -> None:
        self.router = router
        self.profile = profile
        self.mcp = mcp or McpHost(())
        self.memory = memory
        self.statistics = statistics or Statistics()
        self.callers = callers or LiveCallers()
        self.limits = limits
        self.graphs = CompiledGraphs(profile, self.mcp, checkpointer, has_memory=memory is not None)
        self._model = RoutedChatModel()
        self._gate = StartGate()
        self._sentences = SentenceTurns()
        self._latest = LatestTurns()
        self._begun: WeakSet[Turn] = WeakSet()
        self._is_stopping = False

    def use(self, profile: AgentProfile) -> None:
        """Turns that begin from now on run `profile`; those that run keep the one they began with."""
        self.profile = profile
        self.graphs.use(profile)
        self.mcp.use(profile.mcp_servers, own_tool_names(profile))

    def stop(self) -> None:
        """End all turns with ServerStopping, and refuse new ones."""
        self._is_stopping = True
        for turn in list(self._begun):
            turn.end(ServerStopping())

    def begin(self, request: TurnRequest) -> Turn:
        """Begin a turn; it runs while its events are read.

        Raises:
            ModelNotFound, ModelUnavailable: see `FailoverRouter.begin`, and `allow`.
            ServerStopping: see `stop`.
        """
        self._allow_all(request)
        routed = self.router.begin(request.model, request.overrides)
        remembered = request.user_id if self._remembers_users(routed) else None
        hand_offs = request.hand_offs if request.hand_offs is not None else _offers_hand_offs(routed)
        tools, graph = self.graphs.for_request(
            request.caller_tools, request.agent_tools, remembers=remembered is not None, hand_offs=hand_offs
        )
        profile = self.profile
        if request.system_prompt is not None:
            profile = replace(profile, system_prompt=request.system_prompt, system_prompt_mode="append")
        context = TurnContext(
            routed,
            _prompt(profile, self.turn_memories(remembered)),
            request.params,
            request.tool_choice,
            self.profile.max_steps,
            user_id=request.user_id,
            session_id=request.session_id,
            memory=self.memory,
            caller_tools=frozenset(each.name for each in request.caller_tools),
            allowed_tools=request.allowed_tools,
            shows_reasoning=self.profile.reasoning_content,
            filler=self._filler(request),
        )
        run = AgentRun(graph, tools.hand_offs, AgentInput(request.messages), context, self._gate)
        ids = TurnIds(request.turn_id, request.session_id, request.agent or self.profile.name)
        return self._turn(ids, routed, run, request.caller)

    def check(self, request: TurnRequest) -> str:
        """The name of the model that the turn would run on now. Raises as `begin` does."""
        self._allow_all(request)
        if self._is_stopping:
            raise ServerStopping
        return self.router.check(request.model, request.overrides)[1]

    def begin_on_thread(self, request: ThreadRequest) -> Turn:
        """Begin a turn whose messages are stored. Raises as `begin` does."""
        self.allow(request.caller, request.model, request.allowed_as)
        if self.limits is not None:
            self.limits.check(request.caller)  # a task was submitted a while ago
        routed = self.router.begin(request.model)
        tools, graph = self.graphs.for_thread(request.agent_tools)
        context = TurnContext(
            routed,
            request.prompt,
            request.params,
            max_steps=self.profile.max_steps,
            user_id=request.user_id,
            session_id=request.session_id,
            memory=self.memory,
            answered=request.answered,
            filler=self._filler(request),
        )
        given = AgentInput(request.messages, request.thread, request.answers)
        ids = TurnIds(request.turn_id, request.session_id, request.agent or self.profile.name)
        return self._turn(ids, routed, AgentRun(graph, tools.hand_offs, given, context, self._gate), request.caller)

    def allow(
        self, caller: str | None, model: str | None, allowed_as: Sequence[str] = (), param: str = "model"
    ) -> None:
        """Check that the caller may use `model`: one of `allowed_as`, by default the model itself.

        Raises:
            ModelNotFound: it may not, or there is no such model; `param` is the field that names it.
            TokenWithdrawn: the caller's token is no longer valid.
        """
        if (known := self.callers.get(caller)) is None:
            return
        if known.has_expired():
            raise TokenWithdrawn
        if not known.may_use(*(allowed_as or (self.router.name_of(model),))):
            raise model_not_found(model or "default", param)

    async def ask(self, model: str, messages: Sequence[AnyMessage]) -> str:
        """The answer of `model` to `messages`, without tools; for work beside the conversation."""
        routed = self.router.begin(model)
        with self.statistics.own_turn(routed.record, routed.router.clock):
            result = await self._model.answer(routed, messages, {})
        return str(result.generations[0].message.text)

    def turn_memories(self, user_id: str | None) -> TurnMemories | None:
        """The user's memories for one turn; None without long-term memory."""
        policy = self.profile.memory
        if self.memory is None or user_id is None or not policy.long_term:
            return None
        return TurnMemories(self.memory, user_id, policy.recall)

    def run(
        self, turn: Turn, session_key: str | None = None, fingerprint: bytes | None = None
    ) -> AsyncGenerator[Event, None]:
        """The turn's events; with a session key, those of `LatestTurns.run`."""
        return turn.events() if session_key is None else self._latest.run(turn, session_key, fingerprint)

    def _allow_all(self, request: TurnRequest) -> None:
        """Check that the caller may use the model and the fallbacks of the request. Raises as `allow` does."""
        if self.callers.current is not None:
            self.allow(request.caller, request.model, request.allowed_as)
            for each in request.overrides.fallbacks or ():
                self.allow(request.caller, each, (each,), param="fallbacks")

    def _turn(self, ids: TurnIds, routed: RoutedTurn, run: AgentRun, caller: str | None) -> Turn:
        if self._is_stopping:
            raise ServerStopping
        turn = Turn(ids, routed, run, self.statistics, caller)
        self._begun.add(turn)
        return turn

    def _filler(self, request: TurnRequest | ThreadRequest) -> StepFiller | None:
        settings = self.profile.filler
        if request.filler is None or settings is None:
            return None
        sentences = settings.in_language(request.filler)
        return StepFiller(settings.after, partial(self._sentences.next, request.session_id, sentences))

    def _remembers_users(self, routed: RoutedTurn) -> bool:
        group = routed.registry.resolve(routed.model) or ""
        return any(each.info.get("memory") is True for each in routed.registry.usable(group))


def _offers_hand_offs(routed: RoutedTurn) -> bool:
    """`model_info.hand_offs` of the group; one deployment with `false` decides for all of them."""
    group = routed.registry.resolve(routed.model) or ""
    return all(each.info.get("hand_offs") is not False for each in routed.registry.deployments if each.group == group)


def _prompt(profile: AgentProfile, memories: TurnMemories | None) -> Prompt:
    """The prompt of a turn whose messages come with the request: the system prompt, then what is known of the user."""

    async def prompt(messages: Sequence[AnyMessage]) -> list[AnyMessage]:
        replaced = profile.system_prompt_mode == "replace" and any(isinstance(each, SystemMessage) for each in messages)
        own = [SystemMessage(profile.system_prompt)] if profile.system_prompt and not replaced else []
        whole = [*own, *messages]
        known = await memories.text(messages) if memories else ""
        if known:
            whole.insert(system_prompt_length(whole), SystemMessage(known))
        return whole

    return prompt
