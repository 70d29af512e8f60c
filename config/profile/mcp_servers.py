"""`mcp_servers` of agent.yaml, and `MCP_URL`: MCP servers whose tools the agent can use."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr, model_validator

from config.parsing.env_references import REFERENCE_PREFIX, UnsetReference
from config.parsing.sections import NotBool, Section
from config.parsing.urls import http_url

CALL_TIMEOUT = 10.0
"""Default seconds for one tool call."""

MCP_URL = "MCP_URL"
"""The variable with the address of one more server."""
MCP_URL_SERVER = "mcp"
"""The name of that server. It does not depend on the address, so that `review` fits every environment."""

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,32}")
_PROGRAM_ONLY = ("args", "env", "cwd")
_URL_ONLY = ("headers",)


@dataclass(frozen=True, slots=True)
class StdioTransport:
    """A program that speaks MCP over stdin and stdout. `env` is added to a few of our own variables."""

    command: str
    args: tuple[str, ...] = field(default=(), repr=False)
    env: Mapping[str, SecretStr] = field(default_factory=dict)
    cwd: str | None = None


@dataclass(frozen=True, slots=True)
class HttpTransport:
    """A server that speaks MCP over streamable HTTP. The URL may contain a key, so `repr` omits it."""

    url: str = field(repr=False)
    headers: Mapping[str, SecretStr] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class McpServer:
    """One MCP server.

    `timeout` is in seconds, for one tool call. `allow` lists the tools that the agent may use; None means all.
    `missing` lists referenced environment variables that are not set; the server cannot be used without them.
    """

    name: str
    transport: StdioTransport | HttpTransport
    timeout: float = CALL_TIMEOUT
    allow: tuple[str, ...] | None = None
    missing: tuple[str, ...] = ()


def server_name(name: str) -> str:
    """Return the name if it can be used in tool names and review patterns. Raises ValueError."""
    if not _NAME.fullmatch(name):
        raise ValueError("a server name must have 1 to 32 letters, digits, - and _")
    return name


def server_of_environment(environ: Mapping[str, str]) -> McpServer | None:
    """The server whose address is in `MCP_URL`; None if it is not set. Raises ValueError for an invalid address."""
    url = environ.get(MCP_URL)
    return McpServer(MCP_URL_SERVER, HttpTransport(http_url(url))) if url else None


def _http_url(url: str) -> str:
    return url if url.startswith(REFERENCE_PREFIX) else http_url(url)


def _module_name(name: str) -> str:
    if not all(part.isidentifier() for part in name.split(".")):
        raise ValueError("must be the name of a Python module, such as agent.tools.mcp.weather_server")
    return name


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be empty")
    return text


class McpServerSection(Section):
    """One entry of `mcp_servers`. `os.environ/NAME` works everywhere in it."""

    command: Annotated[str, AfterValidator(_not_blank)] | None = Field(
        None, description="A program to start. It speaks MCP over its standard input and output."
    )
    module: Annotated[str, AfterValidator(_module_name)] | None = Field(
        None, description="Instead of `command`: a Python module, run by the Python of this server."
    )
    args: tuple[str, ...] | None = Field(None, description="Arguments of the program.")
    env: dict[str, str] | None = Field(None, description="Variables of the program's environment.")
    cwd: Annotated[str, AfterValidator(_not_blank)] | None = Field(None, description="Folder in which it starts.")
    url: Annotated[str, AfterValidator(_http_url)] | None = Field(
        None, description="Instead of `command`: the address of a server that speaks MCP over streamable HTTP."
    )
    headers: dict[str, str] | None = Field(None, description="Headers of each request to `url`.")
    timeout: Annotated[float, Field(gt=0, le=600), NotBool] | None = Field(
        None, description="Seconds for one tool call. Default 10."
    )
    allow: tuple[str, ...] | None = Field(None, description="The tools that the agent may use. Default: all.")

    @model_validator(mode="after")
    def _one_transport(self) -> McpServerSection:
        given = [key for key in ("command", "module", "url") if getattr(self, key) is not None]
        if len(given) != 1:
            raise ValueError(
                "must have either `command` (a program to start), `module` (a Python module of this installation) or "
                "`url` (a server's address)"
            )
        for key in _URL_ONLY if self.url is None else _PROGRAM_ONLY:
            if getattr(self, key) is not None:
                raise ValueError(f"`{key}` cannot be combined with `{given[0]}`")
        return self

    def server(self, name: str, unset: Sequence[UnsetReference]) -> McpServer:
        """The McpServer. `unset` are the unset references of all servers; their paths start with the server's name."""
        return McpServer(
            name=name,
            transport=self._transport(),
            timeout=CALL_TIMEOUT if self.timeout is None else self.timeout,
            allow=self.allow,
            missing=tuple(dict.fromkeys(each.variable for each in unset if each.path[0] == name)),
        )

    def _transport(self) -> StdioTransport | HttpTransport:
        if self.url is not None:
            return HttpTransport(self.url, _secrets(self.headers))
        if self.module is not None:
            return _module(self.module, self.args or (), self.env or {}, self.cwd)
        assert self.command is not None  # noqa: S101 - checked by _one_transport
        return StdioTransport(self.command, self.args or (), _secrets(self.env), self.cwd)


def _module(name: str, args: tuple[str, ...], env: Mapping[str, str], cwd: str | None) -> StdioTransport:
    """The module, run by the Python of this server; it finds the packages that this server finds.

    Without `-P`, a folder of the same name in the working directory would come first.
    """
    path = {name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ}
    return StdioTransport(sys.executable, ("-P", "-m", name, *args), _secrets({**path, **env}), cwd)


def _secrets(values: Mapping[str, str] | None) -> dict[str, SecretStr]:
    return {name: SecretStr(value) for name, value in (values or {}).items()}
