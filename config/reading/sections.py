"""One table for a configuration file: the pydantic models of its sections check it, and `editor_schema` prints them.

A `Section` refuses keys that it does not know, except those it lists as `ignored`, which are set aside and named in one
warning. `validate` reports every fault with its line and key, and returns what is left when the faulty parts are taken
out, so that checks across sections find their faults in the same run.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar, TypeVar, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    GetJsonSchemaHandler,
    ValidationError,
    ValidationInfo,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from config.errors import Problem
from config.reading.yaml_lines import Document, KeyPath, dotted


class Section(BaseModel):
    """A mapping in a configuration file. Its fields are the keys that have a meaning."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, protected_namespaces=())
    place: ClassVar[str] = ""  # how a warning calls this section
    ignored: ClassVar[frozenset[str]] = frozenset()
    ignored_pattern: ClassVar[str | None] = None

    @classmethod
    def is_ignored(cls, key: str) -> bool:
        """Whether the key is known to others who read such a file, and means nothing here."""
        return key in cls.ignored or bool(cls.ignored_pattern and re.search(cls.ignored_pattern, key))

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        schema = handler.resolve_ref_schema(handler(core))
        patterns = [f"^({'|'.join(sorted(map(re.escape, cls.ignored)))})$"] if cls.ignored else []
        patterns += [cls.ignored_pattern] if cls.ignored_pattern else []
        if patterns:  # as patterns, so that an editor accepts these keys but does not offer them
            schema["patternProperties"] = {pattern: True for pattern in patterns}
        return schema

    @model_validator(mode="before")
    @classmethod
    def _set_ignored_aside(cls, value: Any, info: ValidationInfo) -> Any:
        if not isinstance(value, dict):
            return value
        ignored = [key for key in value if cls.is_ignored(key)]
        if info.context is not None:
            info.context.setdefault(cls, {}).update(dict.fromkeys(ignored))
        return {key: each for key, each in value.items() if key not in ignored}


def _refuse_bool(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("must be a number; this is true or false")
    return value


# pydantic reads `true` as the number 1, which is never what a file means.
NotBool = BeforeValidator(_refuse_bool)

AnySection = TypeVar("AnySection", bound=Section)
Ignored = dict[type[Section], dict[str, None]]


def validate(
    model: type[AnySection], document: Document, value: Any
) -> tuple[AnySection | None, list[Problem], Ignored]:
    """Check `value` (the document's, perhaps with references filled in) against the model.

    Returns what is valid of it (None when nothing is left), every problem, and the keys that were set aside.
    """
    problems: list[Problem] = []
    for attempt in range(5):
        ignored: Ignored = {}
        try:
            return model.model_validate(value, context=ignored), problems, ignored
        except ValidationError as exc:
            errors = exc.errors(include_url=False)
        # A union reports each of its branches at one place: the first says enough.
        faults = {_place(value, error): error for error in reversed(errors)}
        if attempt == 0:  # later ones only find the gaps that were left by taking faulty parts out
            told = {problem.key for problem in document.problems if problem.key}
            problems = [
                document.problem(place, _message(model, place, faults[place], value))
                for place in reversed(faults)
                if dotted(place) not in told
            ]
        bad = {_existing(value, place) for place in faults}
        if () in bad:
            break
        value = _without(value, bad, ())
    return None, problems, {}


def nearest(word: str, words: Iterable[str]) -> str:
    """`; did you mean "..."?` for the closest of the words, or nothing."""
    close = difflib.get_close_matches(word, sorted(words), n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""


def section_at(model: type[Section], path: KeyPath) -> type[Section] | None:
    """The section that stands at that path of a file whose root is `model`."""
    for part in path:
        if isinstance(part, int):
            continue
        found = model.model_fields.get(part)
        inner = next(_sections_in(found.annotation), None) if found else None
        if inner is None:
            return None
        model = inner
    return model


def _sections_in(annotation: Any) -> Iterator[type[Section]]:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        yield annotation
    for argument in get_args(annotation):
        yield from _sections_in(argument)


def _existing(value: Any, path: KeyPath) -> KeyPath:
    """As much of pydantic's path as stands in the file: a missing key does not."""
    for depth, part in enumerate(path):
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            return path[:depth]
    return path


def _place(value: Any, error: Any) -> KeyPath:
    """Where the fault stands, or where a missing key should."""
    path = _existing(value, error["loc"])
    return (*path, error["loc"][len(path)]) if error["type"] == "missing" else path


def _without(value: Any, paths: set[KeyPath], here: KeyPath) -> Any:
    """The value without what stands at those paths."""
    if isinstance(value, dict):
        return {k: _without(v, paths, (*here, k)) for k, v in value.items() if (*here, k) not in paths}
    if isinstance(value, list):
        return [_without(v, paths, (*here, i)) for i, v in enumerate(value) if (*here, i) not in paths]
    return value


_MUST_BE = {
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
_KINDS = {str: "text", bool: "true or false", int: "a number", float: "a number", list: "a list", dict: "a mapping"}


def _message(root: type[Section], path: KeyPath, error: Any, value: Any) -> str:
    """What is wrong, in the file's terms. The value itself is never quoted: it may be a key in the wrong place."""
    kind, context = error["type"], error.get("ctx", {})
    if kind == "missing":
        return "this key is required"
    if kind == "extra_forbidden":
        section = section_at(root, path[:-1]) or root
        close = nearest(str(path[-1]), section.model_fields)
        return "unknown key" + (close or nearest(str(path[-1]), section.ignored))
    if kind in _MUST_BE:
        for part in path:
            value = value[part]
        found = _KINDS.get(type(value), "nothing")
        quotes = "; put it in quotes" if kind == "string_type" and isinstance(value, bool | int | float) else ""
        return f"must be {_MUST_BE[kind]}; this is {found}{quotes}"
    if kind == "literal_error":
        return f"must be {context['expected']}"
    if kind == "value_error":
        return str(context["error"])
    return str(error["msg"]).replace("Input should be", "must be")
