"""Checks of `tools` in agent.yaml that need more than one value: references, names, schemas and URLs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from config.errors import Problem
from config.parsing.env_references import (
    REFERENCE_PREFIX,
    UnsetReference,
    misspelled_references,
    resolve_env_references,
)
from config.parsing.validation import did_you_mean
from config.parsing.yaml_document import Document, KeyPath, format_path
from config.profile.own_tools import KNOWN_TOOLS, TEMPLATE, HttpToolSection, tool_names


def resolve_references(value: Any, environ: Mapping[str, str]) -> tuple[Any, list[UnsetReference]]:
    """Resolve the references in `tools`: in a URL and in headers only, since a description may have any text."""
    tools = value.get("tools") if isinstance(value, dict) else None
    if not isinstance(tools, list):
        return value, []
    tools, unset = list(tools), []
    for index, tool in enumerate(tools):
        for key in ("url", "headers") if isinstance(tool, dict) else ():
            if key in tool:
                resolved, found = resolve_env_references(tool[key], environ)
                tools[index] = {**tools[index], key: resolved}
                unset += [UnsetReference(("tools", index, key, *each.path), each.variable) for each in found]
    return {**value, "tools": tools}, unset


def check_references(tools: Any, unset: Sequence[UnsetReference], document: Document) -> Iterator[Problem]:
    """A Problem for each reference that is not set, or that does not stand alone. `tools` are those of the file."""
    for each in unset:
        yield document.problem(each.path, f"the variable {each.variable} is not set in the environment or in .env")
    for path, text in _reference_places(tools):
        if misspelled := next(misspelled_references(text), None):
            yield document.problem(path, misspelled[1])
        elif REFERENCE_PREFIX in text and not text.startswith(REFERENCE_PREFIX):
            message = (
                f'{REFERENCE_PREFIX}NAME must be the whole value; put all of it, such as "Bearer ...", in the variable'
            )
            yield document.problem(path, message)


def _reference_places(tools: Any) -> Iterator[tuple[KeyPath, str]]:
    """The path and text of each URL and header."""
    for index, tool in enumerate(tools if isinstance(tools, list) else ()):
        if isinstance(tool, dict):
            headers = tool.get("headers")
            texts: dict[KeyPath, Any] = {("url",): tool.get("url")}
            texts |= {("headers", name): text for name, text in headers.items()} if isinstance(headers, dict) else {}
            yield from ((("tools", index, *key), text) for key, text in texts.items() if isinstance(text, str))


def declared_names(tools: Any) -> list[str]:
    """The names that `tools` of the file has, valid or not, for the checks of other keys."""
    names = []
    for each in tools if isinstance(tools, list) else ():
        name = each.get("name") if isinstance(each, dict) else each
        if isinstance(name, str):
            names.append(name.rpartition(":")[2])
    return names


def check_tools(entries: Sequence[str | HttpToolSection], document: Document) -> Iterator[Problem]:
    """A Problem for each name that is used twice or ships, and for each fault of an HTTP tool's schema or URL."""
    first: dict[str, str] = {}
    for index, (entry, name) in enumerate(zip(entries, tool_names(entries), strict=True)):
        path: KeyPath = ("tools", index)
        at = path if isinstance(entry, str) else (*path, "name")
        if name in first:
            yield document.problem(at, f"the name {name} is taken by {first[name]}")
        elif name in KNOWN_TOOLS and entry != name:
            yield document.problem(at, f"{name} is the name of a tool that ships")
        first.setdefault(name, format_path(path))
        if isinstance(entry, HttpToolSection):
            yield from _check_http_tool(entry, path, document)


def _check_http_tool(entry: HttpToolSection, path: KeyPath, document: Document) -> Iterator[Problem]:
    problems = list(_schema_problems(entry.parameters or {}, (*path, "parameters"), document))
    yield from problems
    if problems:
        return
    known = entry.schema_of_arguments["properties"]
    for argument in TEMPLATE.findall(entry.url):
        if argument not in known:
            hint = did_you_mean(argument, known) or f"; the parameters are {', '.join(known) or 'none'}"
            yield document.problem((*path, "url"), f"there is no parameter {argument!r}{hint}")


def _schema_problems(schema: dict[str, Any], path: KeyPath, document: Document) -> Iterator[Problem]:
    from jsonschema import Draft202012Validator  # takes 0.1 s
    from jsonschema.exceptions import SchemaError

    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        yield document.problem((*path, *error.absolute_path), f"is not valid JSON schema: {error.message[:200]}")
    else:
        if schema.get("type", "object") != "object":
            yield document.problem((*path, "type"), "must be object, because the arguments of a tool have names")
