"""Records the tool calls of a turn in its context."""

from __future__ import annotations

from typing import Any, Protocol

from langchain_core.messages import ToolMessage
from langgraph.errors import GraphBubbleUp
from langgraph.prebuilt.tool_node import ToolCallRequest
from langgraph.types import Command

from agent.tools.hand_off import HandOffTool
from agent.tools.review import Execute, WrapCall
from agent.tools.tool_record import ToolRecord
from router.routed_turn import RoutedTurn


class RecordingContext(Protocol):
    """The part of the turn's context that a record needs."""

    @property
    def turn(self) -> RoutedTurn: ...

    @property
    def tool_records(self) -> list[ToolRecord]: ...


def recorded_calls(wrap_call: WrapCall) -> WrapCall:
    """`wrap_call` with a record of each call."""

    async def record_call(request: ToolCallRequest, execute: Execute) -> ToolMessage | Command[Any]:
        context: RecordingContext = request.runtime.context  # type: ignore[assignment]  # LangGraph types it as None
        clock, call = context.turn.router.clock, request.tool_call
        record = ToolRecord(call["name"], str(call["id"]), clock(), isinstance(request.tool, HandOffTool))
        context.tool_records.append(record)

        async def run(request: ToolCallRequest) -> ToolMessage | Command[Any]:
            record.began, record.outcome = clock(), "cancelled"
            result = await execute(request)
            failed = isinstance(result, ToolMessage) and result.status == "error"
            record.outcome = "error" if failed else "ok"
            return result

        try:
            return await wrap_call(request, run)
        except GraphBubbleUp:
            record.outcome = "review"
            raise
        finally:
            record.seconds = clock() - record.began

    return record_call
