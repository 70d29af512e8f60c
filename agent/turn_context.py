"""What the graph learns at run time: the model of a turn and how to ask it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from langchain_core.messages import AnyMessage

from agent.events import Filler, ReasoningDelta, TextDelta
from agent.memory.long_term import LongTermMemory
from agent.tools.filler import StepFiller
from agent.tools.tool_record import ToolRecord
from config.errors import StepLimitReached
from router.routed_turn import RoutedTurn

Prompt = Callable[[Sequence[AnyMessage]], Awaitable[list[AnyMessage]]]
"""Turns the messages of the graph's state into those that the model is sent: with the system prompt, and trimmed."""


@dataclass(slots=True)
class TurnContext:
    """LangGraph's run-time context of one turn.

    `params` are OpenAI's sampling parameters. `max_steps` bounds the model calls. `user_id` and `session_id` name the
    caller and the conversation, for tools that want them; None if the request does not. `memory` is for the tool that
    remembers. `answered` holds the ids of the reviewed tool calls that this turn answers: they count as
    reviewed even if agent.yaml no longer says so. `shows_reasoning`: the reader gets what the model thinks. `steps`
    counts the model calls so far. `caller_tools` are the names of the caller's tools, and `allowed_tools` those of them
    that the model may call; None for all. `filler` speaks while a tool runs; None for silence. `say` tells the turn's
    reader at once, before the step ends. `start_slot` is the turn's place in the `StartGate`. `tool_records` are the
    tool calls so far.
    """

    turn: RoutedTurn
    prompt: Prompt
    params: Mapping[str, Any] = field(default_factory=dict)
    tool_choice: str | Mapping[str, Any] | None = None
    max_steps: int = 10
    user_id: str | None = None
    session_id: str | None = None
    memory: LongTermMemory | None = None
    answered: frozenset[str] = frozenset()
    caller_tools: frozenset[str] = frozenset()
    allowed_tools: frozenset[str] | None = None
    shows_reasoning: bool = False
    filler: StepFiller | None = None
    say: Callable[[TextDelta | ReasoningDelta | Filler], None] = field(default=lambda _: None, init=False)
    steps: int = field(default=0, init=False)
    start_slot: asyncio.Semaphore | None = field(default=None, init=False)
    tool_records: list[ToolRecord] = field(default_factory=list, init=False)

    def leave_start_gate(self) -> None:
        """Let the next turn set up. Further calls have no effect."""
        if self.start_slot is not None:
            self.start_slot.release()
            self.start_slot = None

    def next_params(self, **bound: Any) -> dict[str, Any]:
        """The parameters of the next model call. `bound` are those of the model, such as its tools; they win.

        Raises:
            StepLimitReached: the last step was told not to call tools, and did.
        """
        self.steps += 1
        if self.steps > self.max_steps:
            raise StepLimitReached(f"The agent did not come to an answer within {self.max_steps} steps.")
        params = {**self.params, **bound}
        if bound.get("tools") and "tool_choice" not in bound:
            choice = self._tool_choice()
            params["tools"] = self._offered(bound["tools"], forced=choice not in (None, "none"))
            if not params["tools"]:
                del params["tools"]
            elif choice is not None:
                params["tool_choice"] = choice
        return params

    def _offered(self, tools: Sequence[Mapping[str, Any]], *, forced: bool) -> list[Mapping[str, Any]]:
        """A caller that forces a call waits for one of its own tools: the agent's could answer with text instead."""
        if self.allowed_tools is None and not (forced and self.caller_tools):
            return list(tools)
        allowed = self.caller_tools if self.allowed_tools is None else self.allowed_tools
        own = not (forced and self.caller_tools)
        return [
            each
            for each in tools
            if (name := each["function"]["name"]) in allowed or (own and name not in self.caller_tools)
        ]

    def _tool_choice(self) -> str | Mapping[str, Any] | None:
        if self.steps == self.max_steps:
            return "none"  # the last step has to speak
        if self.steps > 1 and self.tool_choice != "none":
            return None  # a forced call is forced once, or the agent would call it forever
        return self.tool_choice
