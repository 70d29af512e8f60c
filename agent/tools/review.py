"""A person decides before a tool runs: the graph stops, and goes on with the decision.

The question and the four answers are those of LangGraph's agent inbox. The tool runs after the decision alone, so what
it does to the world happens once, and not at all when it was declined.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol

import orjson
from langchain_core.messages import ToolMessage
from langgraph.prebuilt.tool_node import ToolCallRequest
from langgraph.types import Command, interrupt

Decision = Literal["accept", "reject", "edit", "response"]

DECLINED = "A person who reviews such calls declined this one: it was not made. Do not try it again unless asked to."
UNREVIEWED = "The user went on before this call was reviewed: it was not made."
UNKNOWN = "The turn ended before this call did: whether it had its effect is not known. Check before trying again."


@dataclass(frozen=True, slots=True)
class ReviewResponse:
    """What the reviewer decided: `edit` brings `arguments`, `response` and `reject` may bring `words`.

    `accept` may bring the arguments that the reviewer saw; `action` is the tool that the reviewer meant, if named.
    """

    decision: Decision
    arguments: Mapping[str, Any] | None = None
    words: str = ""
    action: str | None = None


def question(name: str, arguments: Mapping[str, Any], call_id: str, description: str) -> dict[str, Any]:
    """What the reviewer is asked."""
    return {
        "action_request": {"action": name, "args": dict(arguments)},
        "config": {"allow_accept": True, "allow_edit": True, "allow_respond": True, "allow_ignore": True},
        "description": description,
        "tool_call_id": call_id,
    }


class Reviewing(Protocol):
    """What is read of the turn's context: the ids of the calls whose answers this turn brings, and how often the model
    was asked in it.
    """

    @property
    def answered(self) -> frozenset[str]: ...

    @property
    def steps(self) -> int: ...


Execute = Callable[[ToolCallRequest], Awaitable["ToolMessage | Command[Any]"]]


def reviewing(
    reviewed: Collection[str],
) -> Callable[[ToolCallRequest, Execute], Awaitable[ToolMessage | Command[Any]]]:
    """For `ToolNode`: stops before each call of a tool in `reviewed`, until its `ReviewResponse` comes."""

    async def review(request: ToolCallRequest, execute: Execute) -> ToolMessage | Command[Any]:
        call = request.tool_call
        if call["name"] not in reviewed and not _is_answered(request):
            return await execute(request)
        about = request.tool.description if request.tool else ""
        answer = ReviewResponse(**interrupt(question(call["name"], call["args"], str(call["id"]), about)))
        match answer.decision:
            case "accept":
                return await execute(request)
            case "edit":
                return await _edited(request, execute, dict(answer.arguments or {}))
            case "response":
                return _instead(request, answer.words, "success")
            case "reject":
                return _instead(request, " ".join(filter(None, (DECLINED, answer.words))), "error")

    return review


def _is_answered(request: ToolCallRequest) -> bool:
    """Whether the turn brings the call's answer. A later one may have its id: providers repeat them."""
    context: Reviewing = request.runtime.context  # type: ignore[assignment]  # LangGraph types it as None
    return context.steps == 0 and request.tool_call["id"] in context.answered


def resume_value(answer: ReviewResponse) -> dict[str, Any]:
    """The answer in the form that LangGraph stores and hands to the waiting tool."""
    return asdict(answer)


async def _edited(request: ToolCallRequest, execute: Execute, arguments: dict[str, Any]) -> ToolMessage | Command[Any]:
    result = await execute(request.override(tool_call={**request.tool_call, "args": arguments}))
    if not isinstance(result, ToolMessage) or arguments == request.tool_call["args"]:
        return result
    # The model's own call stands in the history; without a word it would report what it had asked for.
    note = f"(The reviewer changed the arguments to {orjson.dumps(arguments).decode()}.)"
    return result.model_copy(update={"content": f"{note}\n{result.text}"})


def _instead(request: ToolCallRequest, words: str, status: Literal["success", "error"]) -> ToolMessage:
    call = request.tool_call
    return ToolMessage(words, tool_call_id=call["id"], name=call["name"], status=status)
