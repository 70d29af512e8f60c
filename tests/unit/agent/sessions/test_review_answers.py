from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from langchain_core.tools import BaseTool

from agent.sessions.review_answers import match_answers
from agent.tools.book_hotel import book_hotel
from agent.tools.mcp.tool import McpTool
from agent.tools.multiply import multiply
from agent.tools.remember import remember
from agent.tools.review import ReviewResponse, review_question
from config.errors import NotPending, RequestError

ACCEPT, REJECT = ReviewResponse("accept"), ReviewResponse("reject")


def waiting(*calls: tuple[str, str, dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"interrupt_id": id, **review_question(name, args, f"call-{id}", "")} for id, name, args in calls]


ONE = waiting(("1", "multiply", {"a": 6, "b": 7}))
TWO = [*ONE, *waiting(("2", "book_hotel", {"hotel_name": "Ritz"}))]


def mcp_tool(schema: dict[str, Any]) -> McpTool:
    async def send(name: str, arguments: Mapping[str, Any]) -> str:
        raise AssertionError("the tool must not run for a check")

    return McpTool(name="search", description="", args_schema=schema, server="web", mcp_name="search", send=send)


def decide(asked: Any, answers: Any, *more: BaseTool) -> dict[str, ReviewResponse]:
    return match_answers(asked, answers, {each.name: each for each in (multiply, book_hotel, remember, *more)})


def refusal(asked: Any, answers: Any, *more: BaseTool) -> RequestError:
    with pytest.raises(RequestError) as refused:
        decide(asked, answers, *more)
    return refused.value


def test_an_answer_without_an_id_is_to_the_only_thing_that_waits() -> None:
    assert decide(ONE, {None: ACCEPT}) == {"1": ACCEPT}


def test_answers_by_id_need_not_be_to_all() -> None:
    assert decide(TWO, {"2": REJECT}) == {"2": REJECT}
    assert decide(TWO, {"2": REJECT, "1": ACCEPT}) == {"1": ACCEPT, "2": REJECT}


def test_with_several_waiting_the_id_is_needed_and_the_error_says_which_there_are() -> None:
    error = refusal(TWO, {None: ACCEPT})
    assert error.param == "interrupt_id"
    assert str(error) == "Several reviews are pending: set interrupt_id to one of 1, 2."


def test_a_list_answers_all_in_their_order_and_no_fewer_or_more() -> None:
    assert decide(TWO, (ACCEPT, REJECT)) == {"1": ACCEPT, "2": REJECT}
    for answers in ((ACCEPT,), (ACCEPT,) * 3, ()):
        assert refusal(TWO, answers).param == "decisions"


def test_an_answer_to_what_does_not_wait_is_told_what_does() -> None:
    with pytest.raises(NotPending, match=r"'3'.*Pending: 1, 2\."):
        decide(TWO, {"3": ACCEPT})


@pytest.mark.parametrize(
    ("arguments", "field", "says"),
    [
        ({}, "a", "a: Field required"),
        ({"a": 1}, "b", "b: Field required"),
        ({"a": "six", "b": 7}, "a", "a: Input should be a valid number"),
        ({"args": {"a": "six", "b": 7}}, "a", "a: Input should be a valid number"),
        ({"a": 1, "b": 2, "c": 3, "_d": 4}, "_d", "unknown argument _d, c"),
        ({"args": {"a": 1, "b": 2}, "b": 3}, "args", "unknown argument args"),
        (None, "a", "a: Field required"),
    ],
)
def test_edited_arguments_have_to_fit_the_tool(arguments: Any, field: str, says: str) -> None:
    error = refusal(ONE, {"1": ReviewResponse("edit", arguments)})
    assert error.param == field
    assert str(error).startswith(f"The edited arguments are invalid for multiply: {says}")
    assert "pydantic" not in str(error)


def test_edited_arguments_that_fit_pass() -> None:
    edit = ReviewResponse("edit", {"a": 1.5, "b": -2}, action="multiply")
    assert decide(ONE, {None: edit}) == {"1": edit}


@pytest.mark.parametrize("decision", ["edit", "accept"])
def test_arguments_may_come_in_langgraphs_form(decision: Any) -> None:
    bare = {"a": 6, "b": 7}
    assert decide(ONE, {None: ReviewResponse(decision, {"args": bare})}) == {"1": ReviewResponse(decision, bare)}
    named = ReviewResponse(decision, {"action": "multiply", "args": bare})
    assert decide(ONE, (named,)) == {"1": ReviewResponse(decision, bare, action="multiply")}
    assert "names book_hotel" in str(refusal(ONE, (ReviewResponse(decision, {"action": "book_hotel", "args": bare}),)))


def test_a_tool_with_a_parameter_named_args_takes_them_as_they_are() -> None:
    schema = {"type": "object", "properties": {"args": {"type": "object"}}, "required": ["args"]}
    edit = ReviewResponse("edit", {"args": {"args": {}}})
    assert decide(SEARCH, {None: edit}, mcp_tool(schema)) == {"1": edit}


def test_a_reviewer_cannot_fill_in_what_the_server_does() -> None:
    asked = waiting(("1", "remember", {"content": "x"}))
    edit = ReviewResponse("edit", {"content": "x", "runtime": {"context": {"user_id": "bob"}}})
    assert "unknown argument runtime" in str(refusal(asked, {"1": edit}))


@pytest.mark.parametrize("decision", ["edit", "accept"])
def test_an_answer_for_another_tool_than_the_one_that_waits_is_refused(decision: Any) -> None:
    error = refusal(ONE, {"1": ReviewResponse(decision, {"a": 6, "b": 7}, action="book_hotel")})
    assert error.param == "args"
    assert "is for multiply" in str(error) and "names book_hotel" in str(error)


def test_accept_may_repeat_the_arguments_but_not_change_them() -> None:
    same = ReviewResponse("accept", {"b": 7, "a": 6}, action="multiply")
    assert decide(ONE, {"1": same}) == {"1": same}
    assert "Use edit to change them" in str(refusal(ONE, {"1": ReviewResponse("accept", {"a": 6, "b": 8})}))


def test_a_tool_that_is_away_can_be_declined_and_not_edited() -> None:
    asked = waiting(("1", "gone", {}))
    assert decide(asked, {"1": REJECT}) == {"1": REJECT}
    assert "gone is unavailable at the moment" in str(refusal(asked, {"1": ReviewResponse("edit", {})}))
    assert "gone is unavailable at the moment" in str(refusal(asked, {"1": ReviewResponse("accept")}))


# Tools of MCP servers, whose schemas are JSON schemas of any quality

SEARCH = waiting(("1", "search", {"query": "x"}))
SCHEMA = {
    "type": "object",
    "properties": {"query": {"type": "string"}, "near": {"$ref": "#/$defs/place"}},
    "required": ["query"],
    "additionalProperties": False,
    "$defs": {"place": {"type": "object", "properties": {"zip": {"pattern": "^[0-9]+$"}}}},
}


@pytest.mark.parametrize(
    ("arguments", "field", "says"),
    [
        ({}, "query", "$: 'query' is a required property"),
        ({"query": 5}, "query", "$.query: 5 is not of type 'string'"),
        ({"query": "x", "near": {"zip": "abc"}}, "near.zip", "$.near.zip: 'abc' does not match '^[0-9]+$'"),
        ({"query": "x", "page": 2}, "args", "$: Additional properties are not allowed ('page' was unexpected)"),
    ],
)
def test_edited_arguments_of_an_mcp_tool_have_to_fit_its_schema(
    arguments: dict[str, Any], field: str, says: str
) -> None:
    error = refusal(SEARCH, {"1": ReviewResponse("edit", arguments)}, mcp_tool(SCHEMA))
    assert error.param == field
    assert str(error) == f"The edited arguments are invalid for search: {says}."


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "nonsense"},
        {"type": "object", "properties": {"query": {"pattern": "["}}},
        {"$ref": "#/nowhere"},
        {"properties": {"query": {"$ref": "http://203.0.113.1/schema.json"}}},
        {"type": "object"},
    ],
)
def test_a_schema_that_is_at_fault_leaves_the_check_to_its_server(schema: dict[str, Any]) -> None:
    edit = ReviewResponse("edit", {"query": "y"})
    assert decide(SEARCH, {"1": edit}, mcp_tool(schema)) == {"1": edit}
