"""agent.yaml -> AgentProfile: the agent's prompt, tools, transfer destinations, MCP servers, reviews and memory."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator

from config.errors import ConfigError, Problem
from config.parsing.env_references import UnsetReference, misspelled_references, resolve_env_references
from config.parsing.sections import NotBlank, NotBool, Section
from config.parsing.validation import validate
from config.parsing.yaml_document import Document, read_yaml
from config.profile.chat import ChatSection, ChatSettings
from config.profile.filler import FillerSection, FillerSettings
from config.profile.mcp_servers import MCP_URL, McpServer, McpServerSection, server_name, server_of_environment
from config.profile.memory import MemorySection, MemorySettings, Trim, TrimSection
from config.profile.own_tool_checks import check_references, check_tools, declared_names, resolve_references
from config.profile.own_tools import (
    HAND_OFF_TOOLS,
    KNOWN_TOOLS,
    OwnTool,
    PythonTool,
    ToolEntry,
    own_tools,
    tool_names,
    unique_names,
)
from config.profile.phone import PhoneSection, PhoneSettings
from config.profile.review import check_patterns, check_servers, is_reviewed

SHIPPED = Path(__file__).parents[1]
DEFAULT_AGENT_FILE = SHIPPED / "agent.yaml"
SHIPPED_PROFILES = ("agent", "assistant")
DEFAULT_TOOLS = HAND_OFF_TOOLS

_E164 = re.compile(r"\+[1-9][0-9]{1,14}")
_SIP = re.compile(r"sips?:[^\s@]+(@[^\s@]+)?")


@dataclass(frozen=True, slots=True)
class Destination:
    """A transfer destination. `number` has a country code ("+1234567890") or is a sip: address."""

    number: str
    name: str | None = None
    description: str | None = None


@dataclass(frozen=True, slots=True)
class AgentProfile:
    """An immutable snapshot of agent.yaml.

    `system_prompt_mode` says whether a system message from the caller replaces the prompt or is appended to it.
    `function_call_object` adds the top-level `function_call` of a hand-off. `reasoning_content` sends callers what the
    model thinks. `tools` are names: of tools that ship, and of `own_tools`, the operator's own. `loaded_tools` are the
    LangChain tools of `own_tools` by name, which `agent/tools/own/` adds. `max_steps` limits the model calls of one
    turn. `review` holds the patterns that `reviewed` matches. `trim` None sends the whole conversation. `filler` None
    leaves callers in silence while a tool runs.
    """

    system_prompt: str
    system_prompt_mode: Literal["replace", "append"] = "replace"
    tools: tuple[str, ...] = DEFAULT_TOOLS
    own_tools: tuple[OwnTool, ...] = ()
    loaded_tools: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)
    transfer_destinations: tuple[Destination, ...] = (Destination("+1234567890"),)
    function_call_object: bool = True
    reasoning_content: bool = False
    max_steps: int = 10
    mcp_servers: tuple[McpServer, ...] = ()
    review: tuple[str, ...] = ()
    trim: Trim | None = None
    memory: MemorySettings = field(default_factory=MemorySettings)
    chat: ChatSettings = field(default_factory=ChatSettings)
    filler: FillerSettings | None = None
    phone: PhoneSettings = field(default_factory=PhoneSettings)
    source: Path | None = None

    @property
    def name(self) -> str:
        """The name of the file, without its ending."""
        return self.source.stem if self.source else "agent"

    def tool_name(self, text: str) -> str | None:
        """The name of the tool that `text` means, by its name or as module:attribute.

        None if no such tool ships and agent.yaml declares none.
        """
        own = {f"{each.module}:{each.name}": each.name for each in self.own_tools if isinstance(each, PythonTool)}
        names = (*KNOWN_TOOLS, *(each.name for each in self.own_tools))
        return own.get(text, text if text in names else None)

    def reviewed(self, tool_name: str, mcp_server: str | None) -> bool:
        """Whether a person must approve the tool before it runs.

        `mcp_server` is None for the agent's own tools. For an MCP tool, `tool_name` is the server's own name for it.
        """
        return is_reviewed(self.review, tool_name, mcp_server)


def agent_path(file: Path) -> Path:
    """`file`, or the shipped profile that it names, such as `assistant`, if there is no such file."""
    names = {each: name for name in SHIPPED_PROFILES for each in (Path(name), Path("config", f"{name}.yaml"))}
    return SHIPPED / f"{names[file]}.yaml" if file in names and not file.is_file() else file


def load_agent(file: Path, environ: Mapping[str, str] = os.environ) -> AgentProfile:
    """Read agent.yaml; `environ` resolves its `os.environ/NAME` references.

    An unset variable is not an error: the MCP server lists it in `missing`. Raises ConfigError with every problem.
    """
    profile, problems = check_agent(file, environ)
    if profile is None or problems:
        raise ConfigError(problems)
    return profile


def check_agent(file: Path, environ: Mapping[str, str] = os.environ) -> tuple[AgentProfile | None, tuple[Problem, ...]]:
    """Read agent.yaml. Returns the profile, or None and every problem. Never raises."""
    document = read_yaml(file)
    if document.value is None:
        return None, document.problems or (Problem("the file is empty", file=file),)
    value, unset_of_servers = _resolve_mcp_servers(document.value, environ)
    value, unset_of_tools = resolve_references(value, environ)
    agent, invalid, _ = validate(AgentFile, document, value)
    extra, wrong = _server_of_environment(agent, environ)
    problems = (*document.problems, *invalid, *wrong)
    problems += tuple(_other_problems(agent, value, [each.name for each in extra], unset_of_tools, document))
    if agent is None or problems:
        return None, problems
    fields = {name: getattr(agent, name) for name in agent.model_fields_set if getattr(agent, name) is not None}
    if agent.tools is not None:
        fields["tools"] = tool_names(agent.tools)
        fields["own_tools"] = own_tools(agent.tools, document)
    if agent.transfer_destinations is not None:
        fields["transfer_destinations"] = tuple(
            Destination(**each.model_dump()) for each in agent.transfer_destinations
        )
    if agent.mcp_servers is not None or extra:
        listed = (each.server(name, unset_of_servers) for name, each in (agent.mcp_servers or {}).items())
        fields["mcp_servers"] = (*listed, *extra)
    for name in ("trim", "memory", "chat", "filler", "phone"):
        if name in fields:
            fields[name] = fields[name].value
    return AgentProfile(**fields, source=file), ()


def _resolve_mcp_servers(value: Any, environ: Mapping[str, str]) -> tuple[Any, list[UnsetReference]]:
    """Resolve references in `mcp_servers`; those of `tools` are resolved apart. A prompt may start with any text."""
    if not isinstance(value, dict) or "mcp_servers" not in value:
        return value, []
    servers, unset = resolve_env_references(value["mcp_servers"], environ)
    return {**value, "mcp_servers": servers}, unset


def _server_of_environment(
    agent: AgentFile | None, environ: Mapping[str, str]
) -> tuple[tuple[McpServer, ...], tuple[Problem, ...]]:
    """The server of `MCP_URL`, unless the file has it already, and what is wrong with it."""
    listed = (agent.mcp_servers if agent else None) or {}
    try:
        server = server_of_environment(environ)
    except ValueError as exc:
        return (), (Problem(str(exc), key=MCP_URL),)
    if server is None or any(each.url == environ[MCP_URL] for each in listed.values()):
        return (), ()
    if server.name in listed:
        message = f"the server's name is {server.name!r}, which a server of agent.yaml has too; rename that one"
        return (), (Problem(message, key=MCP_URL),)
    return (server,), ()


def _other_problems(
    agent: AgentFile | None,
    value: Any,
    more_servers: Sequence[str],
    unset_of_tools: Sequence[UnsetReference],
    document: Document,
) -> Iterator[Problem]:
    """Problems that `validate` does not find: of references, and between the entries of `tools` and other keys.

    `value` is the whole file, because an invalid server or tool is not an unknown one.
    """
    if not isinstance(document.value, dict):
        return
    for path, message in misspelled_references(document.value.get("mcp_servers"), ("mcp_servers",)):
        yield document.problem(path, message)
    yield from check_references(document.value.get("tools"), unset_of_tools, document)
    if agent is None:
        return
    if agent.tools is not None and len(agent.tools) == len(value["tools"]):  # otherwise the places have shifted
        yield from check_tools(agent.tools, document)
    if agent.review is not None:
        servers = value.get("mcp_servers")
        known = (*KNOWN_TOOLS, *declared_names(value.get("tools")))
        yield from check_patterns(agent.review, known, HAND_OFF_TOOLS, document)
        named = [*(servers if isinstance(servers, dict) else ()), *more_servers]
        yield from check_servers(agent.review, named, document)


def _unique(values: tuple[Any, ...]) -> tuple[Any, ...]:
    names = [getattr(value, "number", value) for value in values]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{name} is listed twice")
    return values


def _valid_number(number: str) -> str:
    if not _E164.fullmatch(number) and not _SIP.fullmatch(number):
        raise ValueError('must be a number with a country code, such as "+1234567890", or a sip: address')
    return number


class DestinationSection(Section):
    """One entry of `transfer_destinations`; a number alone is the same as a mapping with only `number`."""

    number: Annotated[str, AfterValidator(_valid_number)] = Field(
        description="A number with its country code, such as `+14155550100`, or a `sip:` address."
    )
    name: str | None = Field(None, description="A name for the model, such as `Billing`.")
    description: str | None = Field(None, description="What the destination is for, for the model.")


def _destination(value: Any) -> Any:
    return {"number": value} if isinstance(value, str) else value


class AgentFile(Section):
    """The agent: prompt, tools, transfers, MCP servers, reviews and memory."""

    system_prompt: NotBlank = Field(description="How the agent speaks.")
    system_prompt_mode: Literal["replace", "append"] | None = Field(
        None,
        description="What a system (or developer) message of the caller does: `replace` the agent's prompt, or "
        "`append` to it. Default `replace`.",
    )
    tools: Annotated[tuple[ToolEntry, ...], AfterValidator(unique_names)] | None = Field(
        None,
        description="The agent's tools: `transferCall`, `endCall`, `multiply`, `book_hotel` (simulated); on phone "
        "lines `sendDigits`, `playSound`, `switchLanguage`; and tools of "
        'your own, in Python (`"my_tools:lookup_order"`) or over HTTP (a mapping). Default `[transferCall, endCall]`.',
    )
    transfer_destinations: (
        Annotated[
            tuple[
                Annotated[
                    DestinationSection, BeforeValidator(_destination, json_schema_input_type=str | DestinationSection)
                ],
                ...,
            ],
            AfterValidator(_unique),
        ]
        | None
    ) = Field(
        None,
        description="The only allowed destinations of a transfer; the first is the default. Default `+1234567890`.",
    )
    function_call_object: bool | None = Field(
        None, description="Also send a transfer or hang-up as `function_call` next to `choices`. Default `true`."
    )
    reasoning_content: bool | None = Field(
        None,
        description="Also send what the model thinks, as `reasoning_content`, which the clients of DeepSeek and vLLM "
        "read. It is never part of the text, so it is not spoken. Thoughts may quote the prompt. Default `false`.",
    )
    max_steps: Annotated[int, Field(ge=1, le=100), NotBool] | None = Field(
        None, description="Maximum model calls in one turn; the last one cannot call tools. Default 10."
    )
    mcp_servers: dict[Annotated[str, AfterValidator(server_name)], McpServerSection] | None = Field(
        None, description="MCP servers whose tools the agent can use, by name. Default: none."
    )
    review: Annotated[tuple[str, ...], AfterValidator(_unique)] | None = Field(
        None,
        description="Tools that a person must approve before they run: names of any kind of tool, or "
        "`mcp:<server>:<tool>` with `*`. Default: none.",
    )
    trim: TrimSection | None = Field(
        None, description="How much of a session is sent to the model. Default: the whole session."
    )
    memory: MemorySection | None = Field(None, description="Long-term memory of users. Default: off.")
    chat: ChatSection | None = Field(None, description="What `/chat/stream` says by itself.")
    filler: FillerSection | None = Field(
        None,
        description="What a caller on the phone hears while one of the agent's own tools runs: sentences by language, "
        "such as `{after: 1, en: [One moment.], zh: [请稍等。]}`. Default: nothing.",
    )
    phone: PhoneSection | None = Field(None, description="Phone lines: what they say by themselves, and who answers.")

    @field_validator("transfer_destinations")
    @classmethod
    def _transfer_has_a_destination(cls, destinations: Any, info: ValidationInfo) -> Any:
        tools = info.data.get("tools", ())  # absent if the tools are invalid
        if destinations == () and "transferCall" in (DEFAULT_TOOLS if tools is None else tools):
            raise ValueError("must list at least one destination, because tools includes transferCall")
        return destinations
