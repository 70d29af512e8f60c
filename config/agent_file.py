"""agent.yaml -> AgentProfile: how the agent speaks, its tools, and where it may transfer a call to."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from config.errors import ConfigError, Problem
from config.sections import NotBool, Section, nearest, validate
from config.yaml_lines import read_yaml

DEFAULT_AGENT_FILE = Path(__file__).with_name("agent.yaml")
KNOWN_TOOLS = ("transferCall", "endCall", "multiply", "book_hotel")
DEFAULT_TOOLS = ("transferCall", "endCall")

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
    """

    system_prompt: str
    system_prompt_mode: Literal["replace", "append"] = "replace"
    tools: tuple[str, ...] = DEFAULT_TOOLS
    transfer_destinations: tuple[Destination, ...] = (Destination("+1234567890"),)
    function_call_object: bool = True
    max_steps: int = 10
    source: Path | None = None


def load_agent(file: Path) -> AgentProfile:
    """Read agent.yaml. Raises ConfigError with every problem."""
    profile, problems = check_agent(file)
    if profile is None or problems:
        raise ConfigError(problems)
    return profile


def check_agent(file: Path) -> tuple[AgentProfile | None, tuple[Problem, ...]]:
    """Read agent.yaml for a report: the profile if there is one, and every problem. Never raises."""
    document = read_yaml(file)
    if document.value is None:
        return None, document.problems or (Problem("the file is empty", file=file),)
    agent, faults, _ = validate(_AgentFile, document, document.value)
    problems = (*document.problems, *faults)
    if agent is None or problems:
        return None, problems
    said = {name: getattr(agent, name) for name in agent.model_fields_set if getattr(agent, name) is not None}
    if agent.transfer_destinations is not None:
        said["transfer_destinations"] = tuple(Destination(**each.model_dump()) for each in agent.transfer_destinations)
    return AgentProfile(**said, source=file), ()


def _known_tool(name: str) -> str:
    if name not in KNOWN_TOOLS:
        close = nearest(name, KNOWN_TOOLS) or f"; there are {', '.join(KNOWN_TOOLS)}"
        raise ValueError(f"no tool is named {name!r}{close}")
    return name


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

    @model_validator(mode="after")
    def _transfer_leads_somewhere(self) -> _AgentFile:
        if "transferCall" in (DEFAULT_TOOLS if self.tools is None else self.tools) and self.transfer_destinations == ():
            raise ValueError("transferCall is among the tools, so transfer_destinations must name one")
        return self
