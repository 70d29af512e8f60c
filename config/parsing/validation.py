"""Validates a configuration file against its sections and reports every problem with its line and key."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import Any, TypeVar

from pydantic import ValidationError

from config.errors import Problem
from config.parsing.sections import Section, section_at
from config.parsing.yaml_document import Document, KeyPath, format_path

AnySection = TypeVar("AnySection", bound=Section)
IgnoredKeys = dict[type[Section], dict[str, None]]

_MAX_PASSES = 5
_TAG = re.compile(r"<\w+>")


def validate(
    model: type[AnySection], document: Document, value: Any
) -> tuple[AnySection | None, list[Problem], IgnoredKeys]:
    """Validate `value` (the document's value, with references resolved) against `model`.

    Invalid parts are removed and the rest is validated again, so that checks across sections still find their problems
    in the same run. Returns the valid part (None if nothing is left), every problem, and the ignored keys.
    """
    problems: list[Problem] = []
    for number in range(_MAX_PASSES):
        ignored: IgnoredKeys = {}
        try:
            return model.model_validate(value, context=ignored), problems, ignored
        except ValidationError as exc:
            errors = exc.errors(include_url=False)
        # A union reports every branch at the same path; the first is enough.
        by_path = {_error_path(value, error): error for error in reversed(errors)}
        if number == 0:  # later passes only report the gaps left by removed parts
            reported = {problem.key for problem in document.problems if problem.key}
            problems = [
                document.problem(path, _message(model, path, by_path[path], value))
                for path in reversed(by_path)
                if format_path(path) not in reported
            ]
        invalid = {_existing_part(value, path) for path in by_path}
        if () in invalid:
            break
        value = _without(value, invalid, ())
    return None, problems, {}


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`; did you mean '...'?` for the most similar known word, or the empty string."""
    close = difflib.get_close_matches(word, sorted(known), n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""


def is_misspelled(word: str, known: Iterable[str]) -> bool:
    """Whether one letter is missing, added, wrong or swapped with its neighbour, compared with a known word."""
    return any(_is_one_edit(word.lower(), each) or (word != each and word.lower() == each) for each in known)


def _is_one_edit(one: str, other: str) -> bool:
    start = next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    a, b = one[start:], other[start:]
    swapped = a[:2] == b[1::-1] and len(a) > 1 and a[2:] == b[2:]
    return a != b and (a[1:] == b[1:] or a[1:] == b or a == b[1:] or swapped)


def _error_path(value: Any, error: Any) -> KeyPath:
    """The path of the invalid value, or of the missing key."""
    # pydantic adds the tag of a union's branch, such as <http>.
    where = tuple(part for part in error["loc"] if not _TAG.fullmatch(str(part)))
    path = _existing_part(value, where)
    return (*path, where[len(path)]) if error["type"] == "missing" else path


def _existing_part(value: Any, path: KeyPath) -> KeyPath:
    """The longest prefix of `path` that exists in `value`."""
    for depth, part in enumerate(path):
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            return path[:depth]
    return path


def _without(value: Any, paths: set[KeyPath], prefix: KeyPath) -> Any:
    """`value` without the values at `paths`."""
    if isinstance(value, dict):
        return {k: _without(v, paths, (*prefix, k)) for k, v in value.items() if (*prefix, k) not in paths}
    if isinstance(value, list):
        return [_without(v, paths, (*prefix, i)) for i, v in enumerate(value) if (*prefix, i) not in paths]
    return value


_EXPECTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a mapping (`key: value`)",
    "model_type": "a mapping (`key: value`)",
}
_FOUND = {str: "text", bool: "true or false", int: "a number", float: "a number", list: "a list", dict: "a mapping"}
_QUOTABLE = ("true or false", "a number")


def _message(root: type[Section], path: KeyPath, error: Any, value: Any) -> str:
    """The error in terms of the file. It never quotes the value, which may be a secret under the wrong key."""
    kind, context = error["type"], error.get("ctx", {})
    if kind == "missing":
        return "this key is required"
    if kind == "extra_forbidden":
        section = section_at(root, path[:-1]) or root
        key = str(path[-1])
        known = [field.alias or name for name, field in section.model_fields.items()]
        return "unknown key" + (did_you_mean(key, known) or did_you_mean(key, section.ignored))
    if kind in _EXPECTED:
        for part in path:
            value = value[part]
        return f"must be {_EXPECTED[kind]}{_contrast(kind, value)}"
    if kind == "literal_error":
        return f"must be {context['expected']}"
    if kind == "value_error":
        return str(context["error"])
    return str(error["msg"]).replace("Input should be", "must be")


def _contrast(kind: str, value: Any) -> str:
    """What the value is instead, without quoting it."""
    if value is None:
        return ", but is empty"
    found = _FOUND.get(type(value), "something else")
    if found == "a number" and kind != "string_type":
        return ""  # a number of the wrong kind
    return f", not {found}" + ("; put it in quotes" if kind == "string_type" and found in _QUOTABLE else "")
