from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.utils.function_calling import convert_to_openai_tool
from langgraph.graph import MessagesState, StateGraph
from langgraph.prebuilt import ToolNode

from agent.tools.remember import remember
from config.errors import RequestError, StorageUnavailable


class Notes:
    """Takes what is written down; raises `error` when there is one."""

    def __init__(self, error: Exception | None = None) -> None:
        self.written: list[tuple[str, str]] = []
        self.error = error

    async def write(self, user_id: str, content: str) -> None:
        if self.error:
            raise self.error
        self.written.append((user_id, content))


@dataclass
class Context:
    user_id: str | None
    memory: Any


def compiled() -> Any:
    """The graph's tool node, which all users share."""
    builder = StateGraph(MessagesState, context_schema=Context)
    builder.add_node("tools", ToolNode([remember], handle_tool_errors=True))
    builder.set_entry_point("tools")
    return builder.compile()


async def call(graph: Any, context: Context, **arguments: Any) -> ToolMessage:
    message = AIMessage("", tool_calls=[{"name": "remember", "args": arguments, "id": "1"}])
    answer = (await graph.ainvoke({"messages": [message]}, context=context))["messages"][-1]
    assert isinstance(answer, ToolMessage)
    return answer


async def test_a_fact_is_written_down_for_the_user_of_the_turn() -> None:
    graph, notes = compiled(), Notes()
    answer = await call(graph, Context("ann", notes), content="Likes tea.")
    await call(graph, Context("bob", notes), content="Likes coffee.")
    assert answer.status == "success" and answer.content == "Remembered."
    assert notes.written == [("ann", "Likes tea."), ("bob", "Likes coffee.")]


async def test_the_model_is_offered_the_content_alone() -> None:
    function = convert_to_openai_tool(remember)["function"]
    assert function["parameters"]["properties"].keys() == {"content"}
    assert function["parameters"]["required"] == ["content"]


@pytest.mark.parametrize("forged", [{"user_id": "bob"}, {"runtime": {"context": {"user_id": "bob"}}}])
async def test_the_model_cannot_say_whose_fact_it_is(forged: dict[str, Any]) -> None:
    notes = Notes()
    await call(compiled(), Context("ann", notes), content="Likes tea.", **forged)
    assert {user for user, _ in notes.written} <= {"ann"}


@pytest.mark.parametrize("context", [Context(None, Notes()), Context("ann", None)])
async def test_without_a_user_or_a_memory_the_model_is_told(context: Context) -> None:
    answer = await call(compiled(), context, content="Likes tea.")
    assert answer.status == "error"
    assert answer.content == "Nothing can be remembered in this conversation: the user is unknown."


@pytest.mark.parametrize("error", [RequestError("A memory must contain text."), StorageUnavailable()])
async def test_what_cannot_be_stored_is_told_in_plain_words_and_ends_no_turn(error: Exception) -> None:
    answer = await call(compiled(), Context("ann", Notes(error)), content=" ")
    assert answer.status == "error" and answer.content == str(error)
