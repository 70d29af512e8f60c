"""The MCP servers of agent.yaml: programs that are started here, or addresses, whose tools the agent is offered."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, model_validator

from config.reading.references import Unset
from config.reading.sections import NotBool, Section

CALL_TIMEOUT = 10.0
"""Seconds that a tool may take, unless its server says otherwise."""

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,32}")
_OF_COMMANDS = ("args", "env", "cwd")
_OF_ADDRESSES = ("headers",)


@dataclass(frozen=True, slots=True)
class McpCommand:
    """A program that speaks MCP over its standard input and output. `env` is added to a small part of our own."""

    command: str
    args: tuple[str, ...] = field(default=(), repr=False)
    env: Mapping[str, SecretStr] = field(default_factory=dict)
    cwd: str | None = None


@dataclass(frozen=True, slots=True)
class McpAddress:
    """A server that speaks MCP over streamable HTTP. The address may itself hold a key, so it is not shown."""

    url: str = field(repr=False)
    headers: Mapping[str, SecretStr] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class McpServer:
    """One MCP server. `timeout` is in seconds and holds for one call; `allow` names its tools to offer, None is all.

    `missing` are the environment variables that it refers to and that are not set: it cannot be used without them.
    """

    name: str
    at: McpCommand | McpAddress
    timeout: float = CALL_TIMEOUT
    allow: tuple[str, ...] | None = None
    missing: tuple[str, ...] = ()


def server_name(name: str) -> str:
    """The name, if it can stand before a tool's name and in a review pattern. Raises ValueError."""
    if not _NAME.fullmatch(name):
        raise ValueError("a server's name has up to 32 letters, digits, - and _")
    return name


def _web_address(url: str) -> str:
    try:
        parts = urlsplit(url)
        complete = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # a port that is no number
        complete = False
    if not complete and not url.startswith("os.environ/"):
        raise ValueError("must be a web address, as in https://example.com/mcp")
    return url


def _filled(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be empty")
    return text


class McpServerSection(Section):
    """One entry of `mcp_servers`."""

    command: Annotated[str, AfterValidator(_filled)] | None = None
    args: tuple[str, ...] | None = None
    env: dict[str, str] | None = None
    cwd: Annotated[str, AfterValidator(_filled)] | None = None
    url: Annotated[str, AfterValidator(_web_address)] | None = None
    headers: dict[str, str] | None = None
    timeout: Annotated[float, Field(gt=0, le=600), NotBool] | None = None
    allow: tuple[str, ...] | None = None

    @model_validator(mode="after")
    def _one_way_to_reach_it(self) -> McpServerSection:
        if (self.command is None) == (self.url is None):
            raise ValueError("needs either `command`, a program to start, or `url`, an address")
        for key in _OF_ADDRESSES if self.url is None else _OF_COMMANDS:
            if getattr(self, key) is not None:
                raise ValueError(f"`{key}` has no meaning beside `{'command' if self.url is None else 'url'}`")
        return self

    def server(self, name: str, unset: Sequence[Unset]) -> McpServer:
        """The value; `unset` are the references of all servers, with the server's name first in their path."""
        return McpServer(
            name=name,
            at=self._reached(),
            timeout=CALL_TIMEOUT if self.timeout is None else self.timeout,
            allow=self.allow,
            missing=tuple(dict.fromkeys(each.name for each in unset if each.path[0] == name)),
        )

    def _reached(self) -> McpCommand | McpAddress:
        if self.url is not None:
            return McpAddress(self.url, _secret(self.headers))
        assert self.command is not None  # noqa: S101 - _one_way_to_reach_it
        return McpCommand(self.command, self.args or (), _secret(self.env), self.cwd)


def _secret(values: Mapping[str, str] | None) -> dict[str, SecretStr]:
    return {name: SecretStr(value) for name, value in (values or {}).items()}
