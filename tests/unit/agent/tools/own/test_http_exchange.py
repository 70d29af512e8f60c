"""Requests of HTTP tools: what arguments can change of them, and what the model gets of the answer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.tools import ToolException
from pydantic import SecretStr

from agent.tools.own.http_exchange import build_request, call, open_client
from config.profile.own_tools import HttpTool, Method
from tests.support.tool_service import ToolService, tool_service

IDS = {"x-switchboard-call-id": "call_1", "x-switchboard-user-id": None, "x-switchboard-session-id": "7"}
CLIENT = httpx.AsyncClient()


def request(url: str, arguments: dict[str, Any], method: Method = "GET") -> httpx.Request:
    return build_request(CLIENT, HttpTool("t", "d", url, method), arguments, IDS)


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ("A 7", "/orders/A%207/items"),
        (7, "/orders/7/items"),
        (True, "/orders/true/items"),
        ("a/b", "/orders/a%2Fb/items"),
        ("@evil.example", "/orders/%40evil.example/items"),
        ("//evil.example", "/orders/%2F%2Fevil.example/items"),
        ("http://evil.example:99", "/orders/http%3A%2F%2Fevil.example%3A99/items"),
        ("a?b=c#d", "/orders/a%3Fb%3Dc%23d/items"),
        ("a%2e%2e", "/orders/a%252e%252e/items"),
        ("a\r\nHost: evil.example", "/orders/a%0D%0AHost%3A%20evil.example/items"),
        ("茶", "/orders/%E8%8C%B6/items"),
    ],
)
def test_an_argument_is_one_step_of_the_path(value: Any, path: str) -> None:
    made = request("http://h:81/orders/{id}/items", {"id": value})
    assert made.url.raw_path.decode() == path
    assert (made.url.scheme, made.url.host, made.url.port, made.headers["host"]) == ("http", "h", 81, "h:81")


@pytest.mark.parametrize("value", ["", ".", "..", "../admin", "a/../../b", "a\\..\\b", None, [1], {"a": 1}])
def test_an_argument_that_would_change_the_path_is_refused(value: Any) -> None:
    with pytest.raises(ToolException, match="Invalid arguments: id must"):
        request("http://h/orders/{id}", {"id": value})


@given(st.text(min_size=1), st.sampled_from(["http://h:81/a/{x}/b", "http://h:81/{x}", "http://h:81/a?q={x}&key=k"]))
def test_no_argument_changes_where_a_request_goes(value: str, url: str) -> None:
    try:
        made = request(url, {"x": value})
    except ToolException:
        return
    assert (made.url.scheme, made.url.host, made.url.port, made.url.userinfo) == ("http", "h", 81, b"")
    assert made.url.path.count("/") - value.count("/") * ("?" not in url) == url.split("?")[0].count("/") - 2
    if "?" in url:
        assert dict(made.url.params) == {"q": value, "key": "k"}


def test_arguments_are_the_query_where_there_is_no_body() -> None:
    arguments = {"a": "1&key=x", "b": True, "c": [1, 2], "d": {"e": None}, "f": None, "key": "stolen"}
    made = request("http://h/x?key=s3cret", arguments, "DELETE")
    assert made.url.params.multi_items() == [
        ("key", "s3cret"),
        ("a", "1&key=x"),
        ("b", "true"),
        ("c", "1"),
        ("c", "2"),
        ("d", '{"e":null}'),
    ]
    assert made.content == b""


def test_arguments_are_the_body_without_those_in_the_url() -> None:
    made = request("http://h/{a}", {"a": 1, "b": "é"}, "PUT")
    assert (made.content, made.headers["content-type"]) == ('{"b":"é"}'.encode(), "application/json")


def test_a_header_of_the_operator_replaces_one_of_ours() -> None:
    tool = HttpTool(
        "t", "d", "http://h/", headers={"Content-Type": SecretStr("application/x"), "USER-AGENT": SecretStr("u")}
    )
    headers = build_request(open_client(), tool, {}, IDS).headers
    assert headers.get_list("content-type") == ["application/x"] and headers.get_list("user-agent") == ["u"]


def test_headers_name_the_caller_in_visible_ascii() -> None:
    tool = HttpTool("t", "d", "http://h/")
    ids = {"x-user": "Änn\r\nx-evil: 1", "x-session": "+49 89/7@b", "x-call": None, "x-long": "é" * 1000}
    headers = build_request(CLIENT, tool, {}, ids).headers
    assert headers["x-user"] == "%C3%84nn%0D%0Ax-evil:%201" and headers["x-session"] == "+49%2089/7@b"
    assert "x-evil" not in headers and "x-call" not in headers and "x-long" not in headers


@pytest.fixture
async def service() -> AsyncIterator[ToolService]:
    async with tool_service() as service:
        yield service


ANSWERS = {
    "/orders": '{"status": "shipped"}',
    "/picture": "[an answer of the type image/png, which cannot be shown here]",
    "/gzip": "[a compressed answer, which cannot be read here]",
    "/empty": "The tool's service answered with HTTP status 204 and no text.",
}


async def test_an_answer_is_given_as_text_and_no_cookie_is_kept(service: ToolService) -> None:
    async with open_client() as client:
        for path, text in ANSWERS.items():
            assert await call(client, HttpTool("t", "d", service.url + path), {}, IDS) == text
        assert not client.cookies
    assert all("cookie" not in each.headers for each in service.received)
    assert {each.headers["accept-encoding"] for each in service.received} == {"identity"}


async def test_a_long_answer_is_read_up_to_its_bound(service: ToolService) -> None:
    async with open_client() as client:
        text = await call(client, HttpTool("t", "d", f"{service.url}/endless"), {}, IDS)
    whole, note = text.split("\n")
    assert set(whole) == {"é"} and len(whole.encode()) == 65_536
    assert note == "[cut here: these are the first 65,536 bytes]"


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
async def test_no_proxy_of_the_environment_is_used(
    service: ToolService, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "http://127.0.0.1:1")
    async with open_client() as client:
        assert await call(client, HttpTool("t", "d", f"{service.url}/orders"), {}, IDS) == ANSWERS["/orders"]


async def test_a_service_that_is_down_is_named_in_words() -> None:
    async with open_client() as client:
        with pytest.raises(ToolException, match="The tool's service cannot be reached"):
            await call(client, HttpTool("t", "d", "http://127.0.0.1:1/"), {}, IDS)
