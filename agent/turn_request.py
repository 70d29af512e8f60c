"""What a turn is asked for, by a request that brings its messages or on a stored thread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Any

from langchain_core.messages import AnyMessage

from agent.storage.fence import ClaimedThread
from agent.tools.caller_tools import CallerTool
from agent.turn_context import Prompt
from router.failover import RoutingOverrides


@dataclass(frozen=True, slots=True)
class TurnRequest:
    """What a caller asks for. `model` None means the default; `params` are OpenAI's sampling parameters.

    `allowed_tools` are the names of the caller's tools that may be called; None for all. `hand_offs` says whether the
    agent offers hand-offs of its own; None leaves that to the model group.

    `session_key` names the call that the turn belongs to: a newer request on the same key supersedes the older one.
    `fingerprint` is the same for a request that a client sends again. `overrides` are what the caller wants of the
    routing. `user_id` is whose memories the turn may use, on a model that has them. Tools are told `user_id` and
    `session_id`. `caller` is the id of the caller's token, for the statistics.

    `system_prompt` takes the place of agent.yaml's, and messages never replace it. `agent_tools` are the names of the
    agent's own tools, and patterns such as "mcp:*"; None means agent.yaml's with those of all MCP servers.
    `agent` is the name of who answers; None is that of agent.yaml.

    A caller with a list of models must be allowed one of `allowed_as`, in place of the model's own name.
    `filler` is the language of the fillers that the caller wants to hear while a tool runs; None for silence.
    `turn_id` names the turn in the log.
    """

    model: str | None
    messages: Sequence[AnyMessage]
    caller_tools: Sequence[CallerTool] = ()
    tool_choice: str | Mapping[str, Any] | None = None
    allowed_tools: frozenset[str] | None = None
    hand_offs: bool | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    session_key: str | None = None
    fingerprint: bytes | None = None
    overrides: RoutingOverrides = field(default_factory=RoutingOverrides)
    user_id: str | None = None
    session_id: str | None = None
    system_prompt: str | None = None
    agent_tools: tuple[str, ...] | None = None
    agent: str | None = None
    caller: str | None = None
    allowed_as: tuple[str, ...] = ()
    filler: str | None = None
    turn_id: str = field(default_factory=lambda: token_hex(16))


@dataclass(frozen=True, slots=True)
class ThreadRequest:
    """A turn on a stored thread: new `messages`, or the `answers` to its interrupts. `turn_id` names it in the log.

    `prompt` says what the model is sent of the thread. `answered` are the ids of the tool calls that `answers` decide.
    Tools are told `user_id` and `session_id`.
    `params`, `agent_tools`, `agent`, `caller`, `allowed_as` and `filler` are those of TurnRequest.
    """

    model: str | None
    thread: ClaimedThread
    user_id: str
    prompt: Prompt
    messages: Sequence[AnyMessage] = ()
    answers: Mapping[str, Any] | None = None
    answered: frozenset[str] = frozenset()
    session_id: str | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    agent_tools: tuple[str, ...] | None = None
    agent: str | None = None
    caller: str | None = None
    allowed_as: tuple[str, ...] = ()
    filler: str | None = None
    turn_id: str = field(default_factory=lambda: token_hex(16))
