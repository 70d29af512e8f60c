"""A reviewer's answers, held against what waits for them. Pure; nothing is claimed before all of them fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
from langchain_core.tools import BaseTool
from pydantic import BaseModel, ValidationError
from referencing import Registry
from referencing.exceptions import Unresolvable

from agent.tools.review import ReviewResponse
from config.errors import NotPending, RequestError

Waiting = Sequence[Mapping[str, Any]]
"""What a session's record holds of its interrupts: `interrupt_id` and the question."""


def decided(
    waiting: Waiting,
    answers: Mapping[str | None, ReviewResponse] | Sequence[ReviewResponse],
    tools: Mapping[str, BaseTool],
) -> dict[str, ReviewResponse]:
    """The answers by the id of what they answer.

    Raises:
        NotPending: an answer is to something that does not wait.
        RequestError: it is not clear which of several is meant, an answer is to another call than the one that waits,
            edited arguments do not fit the tool, or the tool is not there just now.
    """
    by_id = {str(each["interrupt_id"]): each for each in waiting}
    named = _named(by_id, answers)
    for interrupt_id, answer in named.items():
        if interrupt_id not in by_id:
            raise NotPending(
                f"Nothing waits under the interrupt_id {interrupt_id!r}: it was answered already, or never asked. "
                f"Waiting: {', '.join(by_id)}."
            )
        _check(answer, by_id[interrupt_id]["action_request"], tools)
    return named


def _named(
    by_id: Mapping[str, Mapping[str, Any]], answers: Mapping[str | None, ReviewResponse] | Sequence[ReviewResponse]
) -> dict[str, ReviewResponse]:
    if not isinstance(answers, Mapping):
        if len(answers) != len(by_id):
            raise RequestError(
                f"decisions has {len(answers)} entries, and {len(by_id)} calls wait: one for each, in their order.",
                param="decisions",
            )
        return dict(zip(by_id, answers, strict=True))
    if None in answers and len(by_id) != 1:
        raise RequestError(
            f"Several calls wait, so interrupt_id has to name one: {', '.join(by_id)}.", param="interrupt_id"
        )
    return {next(iter(by_id)) if key is None else key: answer for key, answer in answers.items()}


def _check(answer: ReviewResponse, asked: Mapping[str, Any], tools: Mapping[str, BaseTool]) -> None:
    name = asked["action"]
    if answer.action not in (None, name):
        raise RequestError(
            f"A call of {name} waits, and the answer is for {answer.action}: only its arguments can be edited.",
            param="args",
        )
    if answer.decision == "accept" and answer.arguments not in (None, asked["args"]):
        raise RequestError(
            f"Accept runs {name} as it was asked for, and these are other arguments: send them as an edit.",
            param="args",
        )
    if answer.decision in ("accept", "edit") and name not in tools:
        # A server of tools may still be starting; without the tool the answer would be used up in vain.
        raise RequestError(
            f"The tool {name} is not there just now. The call still waits: answer again in a moment, or reject it."
        )
    if answer.decision == "edit":
        _check_arguments(tools[name], name, answer.arguments)


def _check_arguments(tool: BaseTool, name: str, arguments: Mapping[str, Any] | None) -> None:
    problem = _misfit(tool, dict(arguments or {}))
    if problem:
        raise RequestError(f"The edited arguments do not fit {name}: {problem}.", param="args")


def _misfit(tool: BaseTool, arguments: dict[str, Any]) -> str | None:
    schema: Any = tool.tool_call_schema
    if isinstance(schema, type) and issubclass(schema, BaseModel):
        if unknown := arguments.keys() - schema.model_json_schema()["properties"].keys():
            return f"it has no argument {', '.join(sorted(unknown))}"
        try:
            schema.model_validate(arguments)
        except ValidationError as exc:
            first = exc.errors(include_url=False, include_context=False)[0]
            return f"{'.'.join(map(str, first['loc'])) or 'arguments'}: {first['msg']}"
        return None
    try:
        Draft202012Validator.check_schema(schema)
        # A registry of its own: the default one would fetch what a `$ref` names from the network.
        errors = Draft202012Validator(schema, registry=Registry()).iter_errors(arguments)
        return next((f"{each.json_path}: {each.message}" for each in errors), None)
    except (SchemaError, Unresolvable):
        return None  # a server's own schema is at fault; the server checks the arguments itself
