"""YAML parser that records the line of every value and reports every problem, not only the first.

It supports mappings with text keys, lists, text, numbers, booleans, null, anchors and merge keys. Dates stay text,
because `api_version: 2024-02-01` is a version name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from config.errors import Problem
from config.parsing.yaml_errors import syntax_problems

KeyPath = tuple[str | int, ...]

_TAG = "tag:yaml.org,2002:"
_MAX_VALUES = 100_000  # anchors can expand a small file to billions of values


@dataclass(frozen=True, slots=True)
class Document:
    """A YAML file as plain values. `lines` maps the path of each value to its line, starting at 1."""

    file: Path
    value: Any = None
    lines: Mapping[KeyPath, int] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()

    def problem(self, path: KeyPath, message: str) -> Problem:
        """A Problem at `path`. A missing key gets the line of its closest existing parent."""
        existing = path
        while existing and existing not in self.lines:
            existing = existing[:-1]
        return Problem(message, file=self.file, line=self.lines.get(existing), key=format_path(path) or None)


def format_path(path: KeyPath) -> str:
    """The path as text: `model_list[2].litellm_params.rpm`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def read_yaml(file: Path) -> Document:
    """Read and parse the file. Never raises: errors go into the document's `problems`."""
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        return _broken(file, "the file does not exist")
    except OSError as exc:
        return _broken(file, f"the file cannot be read: {exc.strerror}")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = content.count(b"\n", 0, exc.start) + 1
        return _broken(file, f"the file is not UTF-8 text (byte {exc.start})", line)
    return parse_yaml(text, file)


def parse_yaml(text: str, file: Path) -> Document:
    """Parse YAML text. `file` is used in problems only. Never raises."""
    converter = _NodeConverter(file)
    try:
        node = yaml.compose(text, Loader=_Loader)
        if node is None:
            return _broken(file, "the file is empty")
        value = converter.convert(node, ())
    except yaml.YAMLError as exc:
        return Document(file, problems=tuple(syntax_problems(exc, text, file)))
    except RecursionError:
        return _broken(file, "the file is nested too deeply")
    except _TooManyValues:
        return _broken(file, f"the file holds more than {_MAX_VALUES} values")
    return Document(file, value, converter.lines, tuple(converter.problems))


def _broken(file: Path, message: str, line: int | None = None) -> Document:
    return Document(file, problems=(Problem(message, file=file, line=line),))


class _Loader(yaml.SafeLoader):
    """SafeLoader that keeps dates as text."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - the base class declares it so
        first: [(tag, pattern) for tag, pattern in resolvers if tag != f"{_TAG}timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


class _TooManyValues(Exception):
    pass


class _NodeConverter:
    """Converts YAML nodes to plain values; collects the line of each value and the problems."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._scalars = _Loader("")
        self._ancestors: set[int] = set()  # ids of the nodes being converted, to detect recursion
        self._count = 0
        self.lines: dict[KeyPath, int] = {}
        self.problems: list[Problem] = []

    def convert(self, node: Node, path: KeyPath) -> Any:
        self.lines.setdefault(path, node.start_mark.line + 1)
        self._count += 1
        if self._count > _MAX_VALUES:
            raise _TooManyValues
        if isinstance(node, ScalarNode):
            return self._scalar(node, path)
        if id(node) in self._ancestors:
            self._report(node, path, "the value contains itself")
            return None
        self._ancestors.add(id(node))
        try:
            if isinstance(node, SequenceNode):
                return [self.convert(item, (*path, index)) for index, item in enumerate(node.value)]
            return self._mapping(node, path) if isinstance(node, MappingNode) else None
        finally:
            self._ancestors.discard(id(node))

    def _mapping(self, node: MappingNode, path: KeyPath) -> dict[str, Any]:
        result = {}
        for key, (key_node, value_node) in self._pairs(node, path).items():
            self.lines[(*path, key)] = key_node.start_mark.line + 1
            result[key] = self.convert(value_node, (*path, key))
        return result

    def _pairs(self, node: MappingNode, path: KeyPath) -> dict[str, tuple[Node, Node]]:
        """The mapping's key and value nodes. Its own keys win over those merged with `<<`."""
        own: dict[str, tuple[Node, Node]] = {}
        merged: dict[str, tuple[Node, Node]] = {}
        for key_node, value_node in node.value:
            if key_node.tag == f"{_TAG}merge":
                for source in value_node.value if isinstance(value_node, SequenceNode) else [value_node]:
                    merged = {**self._merged(source, path), **merged}
            elif key_node.tag != f"{_TAG}str":
                what = f"the key {key_node.value!r}" if isinstance(key_node, ScalarNode) else "the key"
                self._report(key_node, path, f"{what} must be text; put it in quotes")
            elif key_node.value in own:
                first = own[key_node.value][0].start_mark.line + 1
                self._report(key_node, (*path, key_node.value), f"duplicate key; first used in line {first}")
            else:
                own[key_node.value] = (key_node, value_node)
        return {**merged, **own}

    def _merged(self, source: Node, path: KeyPath) -> dict[str, tuple[Node, Node]]:
        if not isinstance(source, MappingNode) or id(source) in self._ancestors:
            self._report(source, (*path, "<<"), "`<<` can only merge mappings")
            return {}
        self._ancestors.add(id(source))
        try:
            return self._pairs(source, path)
        finally:
            self._ancestors.discard(id(source))

    def _scalar(self, node: ScalarNode, path: KeyPath) -> Any:
        if node.tag.removeprefix(_TAG) not in ("str", "int", "float", "bool", "null"):
            self._report(node, path, f"the tag {node.tag.replace(_TAG, '!!')} is not supported")
            return None
        try:
            return self._scalars.construct_object(node)
        except (ValueError, KeyError, IndexError):  # from PyYAML, for "!!int many" or "!!bool perhaps"
            self._report(node, path, f"not a valid {node.tag.removeprefix(_TAG)}; put it in quotes if it is text")
            return None

    def _report(self, node: Node, path: KeyPath, message: str) -> None:
        line = node.start_mark.line + 1
        self.problems.append(Problem(message, file=self._file, line=line, key=format_path(path) or None))
