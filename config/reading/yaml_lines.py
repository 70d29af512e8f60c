"""YAML read so that every value knows its line, and every fault is found rather than only the first.

Only what a configuration file needs is read: mappings with text keys, lists, text, numbers, true and false, null,
anchors and merge keys. Dates stay text, because `api_version: 2024-02-01` is a name and no date.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from config.errors import Problem

KeyPath = tuple[str | int, ...]

_TAG = "tag:yaml.org,2002:"
_MAX_VALUES = 100_000  # anchors can make a small file unfold into billions of values


@dataclass(frozen=True, slots=True)
class Document:
    """A YAML file as plain values. `lines` maps the path of each value to its line, counted from 1."""

    file: Path
    value: Any = None
    lines: Mapping[KeyPath, int] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()

    def problem(self, path: KeyPath, message: str) -> Problem:
        """A Problem at that place; where nothing stands there (a missing key), at the nearest place around it."""
        place = path
        while place and place not in self.lines:
            place = place[:-1]
        return Problem(message, file=self.file, line=self.lines.get(place), key=dotted(path) or None)


def dotted(path: KeyPath) -> str:
    """The path as people write it: `model_list[2].litellm_params.rpm`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def read_yaml(file: Path) -> Document:
    """Read the file. Never raises: what is wrong with it stands in the document's `problems`."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return _broken(file, "the file does not exist")
    except UnicodeDecodeError as exc:
        return _broken(file, f"the file is not UTF-8 text (byte {exc.start})")
    except OSError as exc:
        return _broken(file, f"the file cannot be read: {exc.strerror}")
    return parse_yaml(text, file)


def parse_yaml(text: str, file: Path) -> Document:
    """Read YAML text; `file` only names it in the problems."""
    unfolding = _Unfolding(file)
    try:
        node = yaml.compose(text, Loader=_Loader)
        if node is None:
            return _broken(file, "the file is empty")
        value = unfolding.value(node, ())
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        return _broken(file, f"this is not YAML: {exc.problem or exc.context}", mark.line + 1 if mark else None)
    except yaml.YAMLError as exc:
        return _broken(file, f"this is not YAML: {' '.join(str(exc).split())}")
    except RecursionError:
        return _broken(file, "the file is nested too deeply")
    except _TooManyValues:
        return _broken(file, f"the file holds more than {_MAX_VALUES} values")
    return Document(file, value, unfolding.lines, tuple(unfolding.problems))


def _broken(file: Path, message: str, line: int | None = None) -> Document:
    return Document(file, problems=(Problem(message, file=file, line=line),))


class _Loader(yaml.SafeLoader):
    """SafeLoader, but dates stay text."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - the base class declares it so
        first: [(tag, pattern) for tag, pattern in resolvers if tag != f"{_TAG}timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


class _TooManyValues(Exception):
    pass


class _Unfolding:
    """Turns nodes into plain values, noting the line of each and what is wrong on the way."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._scalars = _Loader("")
        self._open: set[int] = set()
        self._count = 0
        self.lines: dict[KeyPath, int] = {}
        self.problems: list[Problem] = []

    def value(self, node: Node, path: KeyPath) -> Any:
        self.lines.setdefault(path, node.start_mark.line + 1)
        self._count += 1
        if self._count > _MAX_VALUES:
            raise _TooManyValues
        if isinstance(node, ScalarNode):
            return self._scalar(node, path)
        if id(node) in self._open:
            self._complain(node, path, "this value contains itself")
            return None
        self._open.add(id(node))
        try:
            if isinstance(node, SequenceNode):
                return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
            return self._mapping(node, path) if isinstance(node, MappingNode) else None
        finally:
            self._open.discard(id(node))

    def _mapping(self, node: MappingNode, path: KeyPath) -> dict[str, Any]:
        result = {}
        for key, (key_node, value_node) in self._pairs(node, path).items():
            self.lines[(*path, key)] = key_node.start_mark.line + 1
            result[key] = self.value(value_node, (*path, key))
        return result

    def _pairs(self, node: MappingNode, path: KeyPath) -> dict[str, tuple[Node, Node]]:
        """The mapping's own pairs, and those it merges in with `<<`, which its own override."""
        own: dict[str, tuple[Node, Node]] = {}
        merged: dict[str, tuple[Node, Node]] = {}
        for key_node, value_node in node.value:
            if key_node.tag == f"{_TAG}merge":
                for source in value_node.value if isinstance(value_node, SequenceNode) else [value_node]:
                    merged = {**self._merged(source, path), **merged}
            elif key_node.tag != f"{_TAG}str":
                what = f"the key {key_node.value!r}" if isinstance(key_node, ScalarNode) else "this key"
                self._complain(key_node, path, f"{what} is not text; put it in quotes")
            elif key_node.value in own:
                first = own[key_node.value][0].start_mark.line + 1
                self._complain(key_node, (*path, key_node.value), f"the key stands here twice; first in line {first}")
            else:
                own[key_node.value] = (key_node, value_node)
        return {**merged, **own}

    def _merged(self, source: Node, path: KeyPath) -> dict[str, tuple[Node, Node]]:
        if not isinstance(source, MappingNode) or id(source) in self._open:
            self._complain(source, (*path, "<<"), "only another mapping can be merged in")
            return {}
        self._open.add(id(source))
        try:
            return self._pairs(source, path)
        finally:
            self._open.discard(id(source))

    def _scalar(self, node: ScalarNode, path: KeyPath) -> Any:
        if node.tag.removeprefix(_TAG) not in ("str", "int", "float", "bool", "null"):
            self._complain(node, path, f"the tag {node.tag.replace(_TAG, '!!')} cannot be used here")
            return None
        try:
            return self._scalars.construct_object(node)
        except (
            ValueError,
            KeyError,
            IndexError,
        ):  # what PyYAML's constructors raise for "!!int many" or "!!bool perhaps"
            self._complain(node, path, f"this is no {node.tag.removeprefix(_TAG)}")
            return None

    def _complain(self, node: Node, path: KeyPath, message: str) -> None:
        line = node.start_mark.line + 1
        self.problems.append(Problem(message, file=self._file, line=line, key=dotted(path) or None))
