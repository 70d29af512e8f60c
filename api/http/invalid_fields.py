"""Says which field of a request is invalid, and what it must be, without pydantic's own names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from pydantic_core import ErrorDetails

_EXPECTED: Final = {
    "string_type": "a string",
    "int_type": "an integer",
    "int_parsing": "an integer",
    "int_from_float": "an integer",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "list_type": "a list",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
}
"""What a value of another JSON type should be, by the type of the error."""

_INPUT: Final = "Input should be "
_KEY: Final = "[key]"
"""pydantic's word for the key of an object, where that is invalid and not its value."""


def first_invalid_field(errors: Sequence[ErrorDetails], value: Any) -> tuple[str, str]:
    """The path of the first invalid field of `value`, such as `messages[2].content`, and what is wrong with it.

    The path is empty for `value` itself. A union has an error for each of its branches: those of the branch that fits
    best count, and if none fits better than others, all.
    """
    paths = [_path(each, value) for each in errors]
    inside = (path for path in paths if path[: len(paths[0])] == paths[0])
    invalid = max(inside, key=len)
    messages = [problem_of(each) for each, path in zip(errors, paths, strict=True) if path == invalid]
    return _formatted(invalid), _joined(messages)


def problem_of(error: ErrorDetails) -> str:
    """What is wrong, without the field."""
    if expected := _EXPECTED.get(error["type"]):
        return f"{_INPUT}{expected}"
    message = error["msg"].removeprefix("Value error, ").replace(" after validation", "")
    if error["loc"][-1:] == (_KEY,):
        return message.replace("String", "The key", 1)
    return message.replace("Dictionary", "The object", 1)


def _path(error: ErrorDetails, value: Any) -> tuple[int | str, ...]:
    """The part of the error's location that is in `value`, or is missing there. The rest names branches of unions."""
    path: list[int | str] = []
    location = error["loc"]
    for number, part in enumerate(location):
        is_missing = error["type"] == "missing" and number == len(location) - 1
        is_field = number == 0  # also one whose default does not fit the other fields
        if isinstance(value, dict) and (part in value or is_missing or is_field):
            value = value.get(part)
        elif isinstance(value, list) and isinstance(part, int):
            value = value[part]
        else:
            continue
        path.append(part)
    return tuple(path)


def _joined(messages: Iterable[str]) -> str:
    """The alternatives of a union as one sentence."""
    first, *others = dict.fromkeys(messages)
    further = [each.removeprefix(_INPUT) for each in others if each.startswith(_INPUT)]
    return " or ".join([first, *further]) if first.startswith(_INPUT) else first


def _formatted(path: Iterable[int | str]) -> str:
    return "".join(f"[{each}]" if isinstance(each, int) else f".{each}" for each in path).removeprefix(".")
