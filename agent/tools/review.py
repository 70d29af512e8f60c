"""Human review of tool calls: the graph interrupts before the tool runs and resumes with the reviewer's decision.

The question and the four decisions are those of LangGraph's agent inbox. The tool runs only after the decision, so its
effects happen once, or not at all when the call was rejected.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol

import orjson
from langchain_core.messages import ToolMessage
from langchain_core.tools import BaseTool
from langgraph.prebuilt.tool_node import ToolCallRequest
from langgraph.types import Command, interrupt

Decision = Literal["accept", "reject", "edit", "response"]

DECLINED = "A person who reviews such calls declined this one: it was not made. Do not try it again unless asked to."
NOT_REVIEWED = "The user went on before this call was reviewed: it was not made."
OUTCOME_UNKNOWN = (
    "The turn ended before this call did: whether it had its effect is not known. Check before trying again."
)


@dataclass(frozen=True, slots=True)
class ReviewResponse:
    """A reviewer's answer.

    `arguments` are the new arguments of an `edit`, or those that the reviewer saw before `accept`. `words` is the text
    of a `response`, or the reason for a `reject`. `action` is the name of the tool, if the reviewer sent it.
    """

    decision: Decision
    arguments: Mapping[str, Any] | None = None
    words: str = ""
    action: str | None = None


def review_question(
    name: str,
    arguments: Mapping[str, Any],
    call_id: str,
    description: str,
    args_schema: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The question to the reviewer about one tool call. Edited arguments must fit `args_schema`."""
    return {
        "action_request": {"action": name, "args": dict(arguments)},
        "config": {"allow_accept": True, "allow_edit": True, "allow_respond": True, "allow_ignore": True},
        "description": description,
        "tool_call_id": call_id,
        "args_schema": args_schema,
    }


def _args_schema(tool: BaseTool) -> Mapping[str, Any]:
    """The JSON schema of the arguments that a model may send."""
    schema: Any = tool.tool_call_schema
    return dict(schema) if isinstance(schema, Mapping) else dict(schema.model_json_schema())


class ReviewContext(Protocol):
    """The part of the turn's context that a review reads.

    `answered` are the ids of the tool calls that this turn answers; `steps` is the number of its model calls so far.
    """

    @property
    def answered(self) -> frozenset[str]: ...

    @property
    def steps(self) -> int: ...


Execute = Callable[[ToolCallRequest], Awaitable["ToolMessage | Command[Any]"]]

WrapCall = Callable[[ToolCallRequest, Execute], Awaitable["ToolMessage | Command[Any]"]]
"""`ToolNode`'s `awrap_tool_call`."""


def review_calls(reviewed: Collection[str]) -> WrapCall:
    """Interrupts before each call of a `reviewed` tool, until its `ReviewResponse`."""

    async def review(request: ToolCallRequest, execute: Execute) -> ToolMessage | Command[Any]:
        call = request.tool_call
        if call["name"] not in reviewed and not _is_answered(request):
            return await execute(request)
        tool = request.tool
        description, schema = (tool.description, _args_schema(tool)) if tool else ("", None)
        question = review_question(call["name"], call["args"], str(call["id"]), description, schema)
        answer = ReviewResponse(**interrupt(question))
        match answer.decision:
            case "accept":
                return await execute(request)
            case "edit":
                return await _execute_edited(request, execute, dict(answer.arguments or {}))
            case "response":
                return _result(request, answer.words, "success")
            case "reject":
                return _result(request, " ".join(filter(None, (DECLINED, answer.words))), "error")

    return review


def _is_answered(request: ToolCallRequest) -> bool:
    """Whether this turn answers the call's review. Providers repeat ids, so a later step may have the same one."""
    context: ReviewContext = request.runtime.context  # type: ignore[assignment]  # LangGraph types it as None
    return context.steps == 0 and request.tool_call["id"] in context.answered


def resume_value(answer: ReviewResponse) -> dict[str, Any]:
    """The answer as plain values, which LangGraph stores and passes to `interrupt`."""
    return asdict(answer)


async def _execute_edited(
    request: ToolCallRequest, execute: Execute, arguments: dict[str, Any]
) -> ToolMessage | Command[Any]:
    result = await execute(request.override(tool_call={**request.tool_call, "args": arguments}))
    if not isinstance(result, ToolMessage) or arguments == request.tool_call["args"]:
        return result
    # The history still shows the model's own arguments; without a note the model would report those.
    note = f"(The reviewer changed the arguments to {orjson.dumps(arguments).decode()}.)"
    return result.model_copy(update={"content": f"{note}\n{result.text}"})


def _result(request: ToolCallRequest, text: str, status: Literal["success", "error"]) -> ToolMessage:
    call = request.tool_call
    return ToolMessage(text, tool_call_id=call["id"], name=call["name"], status=status)
