"""The shape of a persona's answers: reads it from text, and checks answers against it.

A shape is a JSON schema, an example in JSON or in Python's notation, or prose, which cannot be checked.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

import orjson
from jsonschema import Draft202012Validator, SchemaError, ValidationError, validators
from referencing import Registry
from referencing.exceptions import Unresolvable

Check = Callable[[Any], str | None]
"""Says in words what is wrong with a JSON value; None if it fits."""

MAX_CHARS: Final = 20_000
"""A longer shape counts as prose: reading it would hold up other turns."""

MAX_DEPTH: Final = 64

MAX_REFERENCES: Final = 10_000
"""How many `$ref` one check follows: a small schema can refer to itself without an end."""

MAX_PROBLEM: Final = 300
"""Characters."""

_SCHEMA_TYPES: Final = frozenset({"object", "array", "string", "number", "integer", "boolean", "null"})
_SCHEMA_KEYS: Final = frozenset(Draft202012Validator.VALIDATORS) | frozenset(
    "$schema $id $defs $comment $anchor title description default examples deprecated readOnly writeOnly definitions "
    "then else".split()
)
_TYPE_WORDS: Final[Mapping[type, frozenset[str]]] = {
    list: frozenset("list array lists".split()),
    dict: frozenset("dict dictionary object map".split()),
    float: frozenset("number int integer float decimal".split()),
    bool: frozenset("bool boolean".split()),
}
_NAMES: Final[Mapping[type, str]] = {
    dict: "an object",
    list: "a list",
    str: "a string",
    bool: "true or false",
    float: "a number",
    type(None): "null",
}


class Shape:
    """A shape that can be checked."""

    def __init__(self, check: Check) -> None:
        self._check = check

    def problem(self, answer: str) -> str | None:
        """What is wrong with `answer`, in words for the model; None if it fits. It may stand in a ```json fence."""
        try:
            value = orjson.loads(_unfenced(answer))
        except orjson.JSONDecodeError as exc:
            return f"it is not valid JSON: {exc.msg}"
        try:
            found = self._check(value)
        except (RecursionError, Unresolvable, _TooManyReferences):
            return None  # a schema that refers to nothing, or to itself without an end, says nothing about an answer
        return found if found is None or len(found) <= MAX_PROBLEM else f"{found[: MAX_PROBLEM - 1]}…"


@lru_cache(maxsize=256)
def parse_shape(text: str) -> Shape | None:
    """The shape in `text`; None if it cannot be checked: empty, or prose. Never raises."""
    value = _value(text.strip())
    if not isinstance(value, dict | list) or not value:
        return None
    if isinstance(value, dict) and _is_schema(value):
        check = _schema_check(value)
        return Shape(check) if check else None
    return Shape(lambda answer: _difference(value, answer, "$"))


def _unfenced(answer: str) -> str:
    first, _, rest = answer.strip().partition("\n")
    is_fenced = first.rstrip().lower() in ("```", "```json") and rest.endswith("```")
    return rest.removesuffix("```") if is_fenced else answer


def _value(text: str) -> Any:
    if not text.startswith(("{", "[")) or len(text) > MAX_CHARS:
        return None
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        pass
    try:
        return _as_json(ast.literal_eval(text))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None


def _as_json(value: Any, depth: int = 0) -> Any:
    """Python's literal as a JSON value. Raises ValueError if it has none."""
    if depth > MAX_DEPTH:
        raise ValueError("nested too deeply")
    match value:
        case dict() if all(isinstance(key, str) for key in value):
            return {key: _as_json(each, depth + 1) for key, each in value.items()}
        case list() | tuple():
            return [_as_json(each, depth + 1) for each in value]
        case None | bool() | int() | float() | str():
            return value
    raise ValueError("no JSON value")


def _is_schema(value: Mapping[str, Any]) -> bool:
    """Whether the object is a JSON schema: it has nothing but a schema's keys, and one that says what is allowed."""
    if "$schema" in value:
        return True
    if not value.keys() <= _SCHEMA_KEYS:
        return False
    kinds = value.get("type")
    typed = (
        isinstance(kinds, str | list) and {*([kinds] if isinstance(kinds, str) else map(str, kinds))} <= _SCHEMA_TYPES
    )
    parts = value.get("properties")
    described = isinstance(parts, dict) and all(isinstance(each, dict | bool) for each in parts.values())
    joined = any(isinstance(value.get(key), list) for key in ("anyOf", "oneOf", "allOf", "enum"))
    return (typed and (parts is None or described)) or described or joined or isinstance(value.get("$ref"), str)


class _TooManyReferences(Exception):
    """The check followed `MAX_REFERENCES` references."""


def _schema_check(schema: dict[str, Any]) -> Check | None:
    """None for an invalid schema, and for one that chooses keys by patterns."""
    if _has_key(schema, "patternProperties"):
        return None
    try:
        Draft202012Validator.check_schema(schema)
    except (SchemaError, RecursionError):
        return None

    references = _References()
    keywords: dict[str, Any] = {each: references.counted(each) for each in ("$ref", "$dynamicRef")}
    # `pattern` is not checked, because a caller's regular expression may take for ever.
    keywords["pattern"] = lambda *_: ()
    # The empty registry keeps the library from fetching a reference over the network.
    validator = validators.extend(Draft202012Validator, keywords)(schema, registry=Registry())

    def check(value: Any) -> str | None:
        references.followed = 0
        error: ValidationError | None = next(validator.iter_errors(value), None)
        return None if error is None else f"{error.json_path}: {error.message}"

    return check


class _References:
    """Counts the references that one check follows."""

    def __init__(self) -> None:
        self.followed = 0

    def counted(self, keyword: str) -> Callable[..., Iterator[ValidationError]]:
        """The library's check of `keyword`, which raises _TooManyReferences after `MAX_REFERENCES`."""
        follow = Draft202012Validator.VALIDATORS[keyword]

        def reference(*arguments: Any) -> Iterator[ValidationError]:
            self.followed += 1
            if self.followed > MAX_REFERENCES:
                raise _TooManyReferences
            yield from follow(*arguments) or ()

        return reference


def _has_key(value: Any, key: str) -> bool:
    level = [value]
    while level:
        each = level.pop()
        if isinstance(each, dict):
            if key in each:
                return True
            level += each.values()
        elif isinstance(each, list):
            level += each
    return False


def _difference(example: Any, answer: Any, place: str) -> str | None:
    """The first place where `answer` has other keys or types than `example`; None without one."""
    if example is None:
        return None
    if not _fits_type(example, answer):
        return f"{place} must be {_NAMES[_kind(example)]}, not {_NAMES[_kind(answer)]}"
    if isinstance(example, dict) and isinstance(answer, dict) and example:
        if missing := next((key for key in example if key not in answer), None):
            return f"{place}.{missing} is missing"
        if unknown := next((key for key in answer if key not in example), None):
            return f"{place}.{unknown} is not part of the shape"
        parts = ((example[key], answer[key], f"{place}.{key}") for key in example)
    elif isinstance(example, list) and isinstance(answer, list) and example:
        parts = ((example[0], each, f"{place}[{at}]") for at, each in enumerate(answer))
    else:
        return None
    return next((found for part in parts if (found := _difference(*part))), None)


def _fits_type(example: Any, answer: Any) -> bool:
    if _kind(example) is _kind(answer):
        return True
    if not isinstance(example, str):
        return False
    # Many shapes name a type instead of giving an example: {'age': 'number', 'ingredients': 'List of ingredients'}.
    word = re.match(r"\w*", example.strip().lower())
    return word is not None and word[0] in _TYPE_WORDS.get(_kind(answer), ())


def _kind(value: Any) -> type:
    return float if type(value) is int else type(value)
