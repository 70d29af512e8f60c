"""agent.yaml -> AgentProfile: how the agent speaks, its tools, and where it may transfer a call to."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from config.errors import ConfigError, Problem
from config.profile.mcp_servers import McpServer, McpServerSection, server_name
from config.profile.memory import MemoryPolicy, MemorySection, Trim, TrimSection
from config.profile.review import is_reviewed, review_pattern, unknown_servers
from config.reading.references import Unset, fill_in
from config.reading.sections import NotBool, Section, nearest, validate
from config.reading.yaml_lines import read_yaml

DEFAULT_AGENT_FILE = Path(__file__).parents[1] / "agent.yaml"
KNOWN_TOOLS = ("transferCall", "endCall", "multiply", "book_hotel")
HAND_OFF_TOOLS = ("transferCall", "endCall")
DEFAULT_TOOLS = HAND_OFF_TOOLS

_E164 = re.compile(r"\+[1-9][0-9]{1,14}")
_SIP = re.compile(r"sips?:[^\s@]+(@[^\s@]+)?")


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a call may be transferred to: a number with its country code ("+1234567890") or a sip: address."""

    number: str
    name: str | None = None
    description: str | None = None


@dataclass(frozen=True, slots=True)
class AgentProfile:
    """What agent.yaml says.

    `system_prompt_mode` is what a system message of the caller does to the prompt. `function_call_object` adds the
    top-level `function_call` of a hand-off. `max_steps` counts the times that the model is asked within one turn.
    `review` are the patterns behind `reviewed`. `trim` None sends the whole conversation.
    """

    system_prompt: str
    system_prompt_mode: Literal["replace", "append"] = "replace"
    tools: tuple[str, ...] = DEFAULT_TOOLS
    transfer_destinations: tuple[Destination, ...] = (Destination("+1234567890"),)
    function_call_object: bool = True
    max_steps: int = 10
    mcp_servers: tuple[McpServer, ...] = ()
    review: tuple[str, ...] = ()
    trim: Trim | None = None
    memory: MemoryPolicy = field(default_factory=MemoryPolicy)
    source: Path | None = None

    def reviewed(self, tool_name: str, mcp_server: str | None) -> bool:
        """Whether a person has to approve the tool before it runs.

        `mcp_server` is the server that it belongs to, and `tool_name` then the server's own name for it; None is for
        the agent's own tools.
        """
        return is_reviewed(self.review, tool_name, mcp_server)


def load_agent(file: Path, environ: Mapping[str, str] = os.environ) -> AgentProfile:
    """Read agent.yaml, with `environ` for its `os.environ/NAME`. Raises ConfigError with every problem.

    A name that is not set is none: its MCP server says so in `missing`.
    """
    profile, problems = check_agent(file, environ)
    if profile is None or problems:
        raise ConfigError(problems)
    return profile


def check_agent(file: Path, environ: Mapping[str, str] = os.environ) -> tuple[AgentProfile | None, tuple[Problem, ...]]:
    """Read agent.yaml for a report: the profile if there is one, and every problem. Never raises."""
    document = read_yaml(file)
    if document.value is None:
        return None, document.problems or (Problem("the file is empty", file=file),)
    value, unset = _with_environment(document.value, environ)
    agent, faults, _ = validate(_AgentFile, document, value)
    problems = (*document.problems, *faults)
    if agent is not None and agent.review is not None:
        named = value.get("mcp_servers")  # one that is at fault itself is not unknown
        problems += tuple(unknown_servers(agent.review, named if isinstance(named, dict) else (), document))
    if agent is None or problems:
        return None, problems
    said = {name: getattr(agent, name) for name in agent.model_fields_set if getattr(agent, name) is not None}
    if agent.transfer_destinations is not None:
        said["transfer_destinations"] = tuple(Destination(**each.model_dump()) for each in agent.transfer_destinations)
    if agent.mcp_servers is not None:
        said["mcp_servers"] = tuple(each.server(name, unset) for name, each in agent.mcp_servers.items())
    if agent.trim is not None:
        said["trim"] = agent.trim.value
    if agent.memory is not None:
        said["memory"] = agent.memory.value
    return AgentProfile(**said, source=file), ()


def _with_environment(value: Any, environ: Mapping[str, str]) -> tuple[Any, list[Unset]]:
    """Only `mcp_servers` holds references: a prompt may well begin with any words."""
    if not isinstance(value, dict) or "mcp_servers" not in value:
        return value, []
    servers, unset = fill_in(value["mcp_servers"], environ)
    return {**value, "mcp_servers": servers}, unset


def _known_tool(name: str) -> str:
    if name not in KNOWN_TOOLS:
        close = nearest(name, KNOWN_TOOLS) or f"; there are {', '.join(KNOWN_TOOLS)}"
        raise ValueError(f"no tool is named {name!r}{close}")
    return name


def _reviewable(pattern: str) -> str:
    return review_pattern(pattern, KNOWN_TOOLS, HAND_OFF_TOOLS)


def _once(values: tuple[Any, ...]) -> tuple[Any, ...]:
    names = [getattr(value, "number", value) for value in values]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{name} stands here twice")
    return values


def _said(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be empty")
    return text.strip()


def _reachable(number: str) -> str:
    if not _E164.fullmatch(number) and not _SIP.fullmatch(number):
        raise ValueError('must be a number with its country code, as in "+1234567890", or a sip: address')
    return number


class _Destination(Section):
    number: Annotated[str, AfterValidator(_reachable)]
    name: str | None = None
    description: str | None = None


def _destination(value: Any) -> Any:
    return {"number": value} if isinstance(value, str) else value


class _AgentFile(Section):
    system_prompt: Annotated[str, AfterValidator(_said)]
    system_prompt_mode: Literal["replace", "append"] | None = None
    tools: Annotated[tuple[Annotated[str, AfterValidator(_known_tool)], ...], AfterValidator(_once)] | None = None
    transfer_destinations: (
        Annotated[tuple[Annotated[_Destination, BeforeValidator(_destination)], ...], AfterValidator(_once)] | None
    ) = None
    function_call_object: bool | None = None
    max_steps: Annotated[int, Field(ge=1, le=100), NotBool] | None = None
    mcp_servers: dict[Annotated[str, AfterValidator(server_name)], McpServerSection] | None = None
    review: Annotated[tuple[Annotated[str, AfterValidator(_reviewable)], ...], AfterValidator(_once)] | None = None
    trim: TrimSection | None = None
    memory: MemorySection | None = None

    @model_validator(mode="after")
    def _transfer_leads_somewhere(self) -> _AgentFile:
        if "transferCall" in (DEFAULT_TOOLS if self.tools is None else self.tools) and self.transfer_destinations == ():
            raise ValueError("transferCall is among the tools, so transfer_destinations must name one")
        return self
