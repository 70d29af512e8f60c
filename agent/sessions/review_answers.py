"""Matches a reviewer's answers to the pending interrupts of a session. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
from jsonschema.exceptions import ValidationError as SchemaViolation
from langchain_core.tools import BaseTool
from pydantic import BaseModel, ValidationError
from referencing import Registry
from referencing.exceptions import Unresolvable

from agent.tools.review import ReviewResponse
from config.errors import NotPending, RequestError

Interrupts = Sequence[Mapping[str, Any]]
"""The interrupts of a session's record: `interrupt_id` and the review question."""


def match_answers(
    pending: Interrupts,
    answers: Mapping[str | None, ReviewResponse] | Sequence[ReviewResponse],
    tools: Mapping[str, BaseTool],
) -> dict[str, ReviewResponse]:
    """The answers by interrupt id, all of them validated.

    Raises:
        NotPending: an answer names an interrupt that is not pending.
        RequestError: an answer is ambiguous, is for another tool call than the pending one, edits the arguments to
            values that the tool does not accept, or needs a tool that is unavailable.
    """
    by_id = {str(each["interrupt_id"]): each for each in pending}
    answers_by_id = _by_interrupt_id(by_id, answers)
    for interrupt_id, answer in list(answers_by_id.items()):
        if interrupt_id not in by_id:
            raise NotPending(
                f"No review with the interrupt_id {interrupt_id!r} is pending: it was answered already, or never "
                f"existed. Pending: {', '.join(by_id)}."
            )
        action_request = by_id[interrupt_id]["action_request"]
        answers_by_id[interrupt_id] = answer = _unwrapped(answer, tools.get(action_request["action"]))
        _validate(answer, action_request, tools)
    return answers_by_id


def _unwrapped(answer: ReviewResponse, tool: BaseTool | None) -> ReviewResponse:
    """The answer with bare arguments: LangGraph's inbox sends `{"args": {...}}`, with or without the `action`.

    A tool with a parameter of that name takes them as they are.
    """
    if tool is not None and "args" in _parameters(tool):
        return answer
    match answer.arguments:
        case {"args": dict(arguments), "action": str(action), **more} if not more:
            return replace(answer, arguments=arguments, action=answer.action or action)
        case {"args": dict(arguments), **more} if not more:
            return replace(answer, arguments=arguments)
    return answer


def _by_interrupt_id(
    by_id: Mapping[str, Mapping[str, Any]], answers: Mapping[str | None, ReviewResponse] | Sequence[ReviewResponse]
) -> dict[str, ReviewResponse]:
    if not isinstance(answers, Mapping):
        if len(answers) != len(by_id):
            raise RequestError(
                f"decisions has {len(answers)} entries but needs {len(by_id)}: one for each pending review, in order.",
                param="decisions",
            )
        return dict(zip(by_id, answers, strict=True))
    if None in answers and len(by_id) != 1:
        raise RequestError(
            f"Several reviews are pending: set interrupt_id to one of {', '.join(by_id)}.", param="interrupt_id"
        )
    return {next(iter(by_id)) if key is None else key: answer for key, answer in answers.items()}


def _parameters(tool: BaseTool) -> Mapping[str, Any]:
    schema: Any = tool.tool_call_schema
    if isinstance(schema, type) and issubclass(schema, BaseModel):
        schema = schema.model_json_schema()
    properties = schema.get("properties")
    return properties if isinstance(properties, Mapping) else {}  # an MCP server may send any schema


def _validate(answer: ReviewResponse, action_request: Mapping[str, Any], tools: Mapping[str, BaseTool]) -> None:
    name = action_request["action"]
    if answer.action not in (None, name):
        raise RequestError(
            f"The pending call is for {name}, but the answer names {answer.action}: only the arguments can be edited.",
            param="args",
        )
    if answer.decision == "accept" and answer.arguments not in (None, action_request["args"]):
        raise RequestError(
            f"Accept runs {name} with its original arguments, but other arguments were sent. Use edit to change them.",
            param="args",
        )
    if answer.decision in ("accept", "edit") and name not in tools:
        # Its MCP server may still be starting. Without the tool the answer would be consumed and have no effect.
        raise RequestError(
            f"The tool {name} is unavailable at the moment. The review stays pending: answer again later, or reject it."
        )
    if answer.decision == "edit":
        _validate_arguments(tools[name], name, answer.arguments)


def _validate_arguments(tool: BaseTool, name: str, arguments: Mapping[str, Any] | None) -> None:
    if found := _schema_problem(tool, dict(arguments or {})):
        field, problem = found
        raise RequestError(f"The edited arguments are invalid for {name}: {problem}.", param=field or "args")


def _schema_problem(tool: BaseTool, arguments: dict[str, Any]) -> tuple[str | None, str] | None:
    """The field that does not fit, if one can be named, and what is wrong."""
    schema: Any = tool.tool_call_schema
    if isinstance(schema, type) and issubclass(schema, BaseModel):
        if unknown := arguments.keys() - _parameters(tool).keys():
            return min(unknown), f"unknown argument {', '.join(sorted(unknown))}"
        try:
            schema.model_validate(arguments)
        except ValidationError as exc:
            first = exc.errors(include_url=False, include_context=False)[0]
            field = ".".join(map(str, first["loc"]))
            return field or None, f"{field or 'arguments'}: {first['msg']}"
        return None
    try:
        Draft202012Validator.check_schema(schema)
        # An empty registry: the default one fetches the target of a `$ref` from the network.
        errors = Draft202012Validator(schema, registry=Registry()).iter_errors(arguments)
        return next(((_field_of(each), f"{each.json_path}: {each.message}") for each in errors), None)
    except (SchemaError, Unresolvable):
        return None  # the MCP server's schema is invalid; the server validates the arguments itself


def _field_of(error: SchemaViolation) -> str | None:
    if error.absolute_path:
        return ".".join(map(str, error.absolute_path))
    if error.validator == "required":
        return next((each for each in error.validator_value if each not in error.instance), None)
    return None
