"""The names under which the tools of MCP servers are offered."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from agent.tools.mcp.tool_names import offered_names

TOOLS = st.dictionaries(
    st.from_regex(r"\A[a-zA-Z0-9_-]{1,32}\Z"),
    st.lists(st.text(max_size=80) | st.sampled_from(["get", "a_get", "get.it", "get_it", "multiply"]), unique=True),
    max_size=4,
)
TAKEN = frozenset({"multiply", "a_get"})


def test_a_name_that_is_there_once_stays_as_it_is() -> None:
    names = offered_names({"web": ["get", "put-1"], "crm": ["find"]}, TAKEN)
    assert names == {("web", "get"): "get", ("web", "put-1"): "put-1", ("crm", "find"): "find"}


def test_characters_that_are_not_allowed_are_replaced() -> None:
    assert offered_names({"web": ["get.page/one"]}, TAKEN) == {("web", "get.page/one"): "get_page_one"}


def test_where_two_servers_have_a_name_both_are_told_apart_by_the_server() -> None:
    names = offered_names({"web": ["get"], "crm": ["get", "find"]}, TAKEN)
    assert names == {("web", "get"): "web_get", ("crm", "get"): "crm_get", ("crm", "find"): "find"}


def test_a_name_of_the_agents_own_tools_is_left_to_them() -> None:
    assert offered_names({"web": ["multiply"]}, TAKEN) == {("web", "multiply"): "web_multiply"}


def test_a_server_whose_tools_become_the_same_marks_them() -> None:
    names = offered_names({"web": ["get.it", "get_it"]}, TAKEN)
    assert len(set(names.values())) == 2
    assert all(re.fullmatch(r"get_it_[0-9a-f]{8}", name) for name in names.values())


@given(TOOLS)
def test_every_name_is_valid_and_there_once(tools: dict[str, list[str]]) -> None:
    names = offered_names(tools, TAKEN)
    assert set(names) == {(server, name) for server, each in tools.items() for name in each}
    assert all(re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", name) for name in names.values())
    assert len(set(names.values())) == len(names)
    assert not TAKEN & set(names.values())


@given(TOOLS)
def test_names_do_not_depend_on_the_order(tools: dict[str, list[str]]) -> None:
    turned = {server: names[::-1] for server, names in reversed(tools.items())}
    assert offered_names(turned, TAKEN) == offered_names(tools, TAKEN)
