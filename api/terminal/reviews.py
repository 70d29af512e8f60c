"""Reads a reviewer's answer, and checks edited arguments against the tool's schema. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import orjson

Choice = Literal["yes", "no", "edit", "response"]

DECISIONS: Final[Mapping[Choice, str]] = {"yes": "accept", "no": "reject", "edit": "edit", "response": "response"}
"""`response_type` of `/agent/resume`."""

ALLOWED_BY: Final[Mapping[Choice, str]] = {
    "yes": "allow_accept",
    "no": "allow_ignore",
    "edit": "allow_edit",
    "response": "allow_respond",
}
"""LangGraph's names of what a review allows."""

WORDS: Final[Mapping[str, Choice]] = {
    **{each: each for each in DECISIONS},
    "y": "yes",
    "accept": "yes",
    "n": "no",
    "reject": "no",
    "e": "edit",
    "r": "response",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """`text` is what follows the choice in its line: new arguments, a response, or a reason."""

    choice: Choice
    text: str = ""


def read_answer(line: str, allowed: tuple[Choice, ...]) -> Answer | None:
    """The answer in `line`; None if it begins with none of the `allowed` choices."""
    word, _, rest = line.strip().partition(" ")
    choice = WORDS.get(word.lower())
    rest = rest.strip()
    if choice not in allowed or (choice == "yes" and rest):
        return None
    return Answer(choice, rest)


def allowed_choices(interrupt: Mapping[str, Any]) -> tuple[Choice, ...]:
    """What the reviewer may choose."""
    config = interrupt.get("config") or {}
    return tuple(choice for choice, name in ALLOWED_BY.items() if config.get(name, True))


def reviewed_call(interrupt: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """The name and the arguments of the tool call that waits."""
    request = interrupt.get("action_request") or {}
    return str(request.get("action") or "tool"), request.get("args") or {}


def arguments_json(arguments: Mapping[str, Any], width: int) -> str:
    """The arguments as JSON: on one line if they fit into `width` characters."""
    line = json.dumps(arguments, ensure_ascii=False)
    return line if len(line) <= width else json.dumps(arguments, ensure_ascii=False, indent=2)


def problem_of(text: str, schema: Mapping[str, Any] | None) -> str | None:
    """What is wrong with edited arguments, in words that name the field; None if nothing is."""
    try:
        arguments = orjson.loads(text)
    except orjson.JSONDecodeError as exc:
        return f"Not valid JSON at line {exc.lineno}, column {exc.colno}: {exc.msg}"
    if not isinstance(arguments, dict):
        return 'The arguments must be a JSON object, such as {"name": "value"}'
    return _misfit(arguments, schema) if schema else None


def meant_arguments(edited: str, shown: str) -> str:
    """The arguments: those that are pasted whole behind the whole ones that are `shown`, otherwise `edited`."""
    if problem_of(shown, None) is not None or not edited.startswith(shown):
        return edited
    pasted = edited.removeprefix(shown).strip()
    return pasted if pasted.startswith("{") else edited


def _misfit(arguments: Mapping[str, Any], schema: Mapping[str, Any]) -> str | None:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    known = schema.get("properties") or {}
    if known and (unknown := [name for name in arguments if name not in known]):
        return f"{unknown[0]}: there is no such argument; known are {', '.join(known)}"
    try:
        Draft202012Validator.check_schema(schema)
        # An empty registry: the default one fetches the target of a `$ref` from the network.
        errors = Draft202012Validator(schema, registry=Registry()).iter_errors(arguments)
        first = next(errors, None)
    except (SchemaError, Unresolvable):
        return None  # the server checks the arguments too
    if first is None:
        return None
    if first.validator == "required":
        missing = [name for name in first.validator_value if name not in first.instance]
        return f"{missing[0]}: the argument is missing"
    return f"{str(first.json_path).removeprefix('$.')}: {first.message}"
