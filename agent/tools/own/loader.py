"""Loads the operator's own tools: those that agent.yaml declares in Python files and behind HTTP."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
from langchain_core.tools import BaseTool

from agent.tools.own.http_exchange import call, open_client
from agent.tools.own.http_tool import Ids, http_tool
from agent.tools.own.import_problems import attribute_problem, error_files, import_problem, no_tool_problem
from agent.tools.own.modules import ModuleFolder
from agent.tools.own.python_tools import python_tool
from agent.tools.reserved_names import RESERVED_NAMES
from config.errors import ConfigError, Problem
from config.profile.agent_file import AgentProfile
from config.profile.own_tools import TEMPLATE, TOOL_NAME, HttpTool, OwnTool, PythonTool


class ToolLoader:
    """Loads tools, and keeps what they need: the modules beside `agent_file`, and an HTTP client.

    `files` are the Python files beside agent.yaml that the last load read, or looked for in vain. After a change of one
    of them, the tools have to be loaded again.
    """

    def __init__(self, agent_file: Path) -> None:
        self.files: frozenset[Path] = frozenset()
        self._agent_file = agent_file
        self._modules = ModuleFolder(agent_file.absolute().parent)
        self._client: httpx.AsyncClient | None = None

    def load(self, profile: AgentProfile) -> AgentProfile:
        """The profile with its `loaded_tools`. Runs the Python files anew, and may block for as long as they do.

        Raises:
            ConfigError: a tool cannot be loaded. The tools of earlier loads stay usable.
        """
        has_python = any(isinstance(each, PythonTool) for each in profile.own_tools)
        if has_python:
            # LangGraph documents `runtime: ToolRuntime`, and pydantic would warn at each call that its context is set.
            warnings.filterwarnings("ignore", "(?s)Pydantic serializer warnings:.*field_name='context'.*TurnContext")
        files: set[Path] = set()
        with self._modules.fresh() if has_python else nullcontext():
            try:
                tools, problems = self._load(profile.own_tools, files)
            finally:
                self.files = frozenset(files | self._modules.files())
            if problems:
                raise ConfigError(problems)
        return replace(profile, loaded_tools=tools)

    async def aclose(self) -> None:
        """Close the connections, and remove the modules from the import system."""
        self._modules.close()
        if self._client is not None:
            await self._client.aclose()

    def _load(self, declared: Sequence[OwnTool], files: set[Path]) -> tuple[dict[str, BaseTool], list[Problem]]:
        """The tools by their names in agent.yaml, and the problems of the others. Adds to `files`."""
        tools: dict[str, BaseTool] = {}
        problems: list[Problem] = []
        modules: dict[str, ModuleType | None] = {}
        for each in declared:
            try:
                if isinstance(each, HttpTool):
                    tools[each.name] = self._http_tool(each)
                    continue
                if each.module not in modules:
                    modules[each.module] = None  # a module that cannot be imported is reported once
                    modules[each.module] = self._import(each, files)
                if (module := modules[each.module]) is not None:
                    tools[each.name] = _python_tool(each, module, self._agent_file)
            except ConfigError as exc:
                problems += exc.problems
        problems += _name_problems(declared, tools, self._agent_file)
        return tools, problems

    def _http_tool(self, declared: HttpTool) -> BaseTool:
        try:
            httpx.URL(TEMPLATE.sub("x", declared.url))
        except httpx.InvalidURL as exc:
            problem = Problem("is not a valid URL", self._agent_file, declared.line, f"{declared.key}.url")
            raise ConfigError([problem]) from exc
        self._client = self._client or open_client()
        return http_tool(declared, self._send)

    def _import(self, declared: PythonTool, files: set[Path]) -> ModuleType:
        files.add(self._modules.source(declared.module))
        try:
            return self._modules.load(declared.module)
        except (Exception, SystemExit) as exc:
            files |= {each for each in error_files(exc) if each.is_relative_to(self._modules.folder)}
            if isinstance(exc, ModuleNotFoundError) and exc.name:
                files.add(self._modules.source(exc.name))
            raise ConfigError([import_problem(declared, exc, self._agent_file)]) from exc

    async def _send(self, declared: HttpTool, arguments: Mapping[str, Any], ids: Ids) -> str:
        assert self._client is not None  # noqa: S101 - opened when the tool was loaded
        return await call(self._client, declared, arguments, ids)


def _python_tool(declared: PythonTool, module: ModuleType, agent_file: Path) -> BaseTool:
    if not hasattr(module, declared.name):
        raise ConfigError([attribute_problem(declared, module, agent_file)])
    value = getattr(module, declared.name)
    try:
        return python_tool(value, declared.name)
    except ValueError as exc:
        raise ConfigError([no_tool_problem(declared, value, module, str(exc), agent_file)]) from exc


def _name_problems(declared: Sequence[OwnTool], tools: Mapping[str, BaseTool], agent_file: Path) -> Iterator[Problem]:
    """The problems of the names that the model sees. A LangChain tool has a name of its own."""
    first: dict[str, str] = {}
    for each in declared:
        if each.name not in tools:
            continue
        name = tools[each.name].name
        if not TOOL_NAME.fullmatch(name):
            message = f"the name {name!r} of the tool must have 1 to 64 letters, digits, - and _"
        elif name in RESERVED_NAMES:
            message = f"{name} is the name of a tool that ships, or of a transfer or hang-up"
        elif name in first:
            message = f"the name {name} is taken by {first[name]}"
        else:
            first[name] = each.key
            continue
        yield Problem(message, file=agent_file, line=each.line, key=each.key)
