"""`tools` of agent.yaml: the operator's own tools, and the problems of invalid ones."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from config.errors import ConfigError
from config.profile.agent_file import AgentProfile, load_agent
from config.profile.own_tools import HttpTool, PythonTool

TOOLS = """\
system_prompt: x
tools:
  - multiply
  - shop.orders:lookup_order
  - name: get-order
    description: " Look up an order: os.environ/IS_TEXT "
    url: os.environ/ORDERS_URL
    method: get
    headers: {Authorization: os.environ/ORDERS_KEY, X-Shop: s}
    parameters:
      type: object
      properties:
        order_id: {type: string, description: os.environ/IS_TEXT}
        verbose: {type: boolean}
    timeout: 2.5
  - {name: ping, description: Ping., url: "http://10.0.0.7:8080/ping"}
review: [lookup_order, get-order]
"""
SET = {"ORDERS_URL": "https://shop.example/orders/{order_id}?key=s3cret", "ORDERS_KEY": "Bearer s3cret"}


def load(tmp_path: Path, text: str, environ: dict[str, str] | None = None) -> AgentProfile:
    file = tmp_path / "agent.yaml"
    file.write_text(text, encoding="utf-8")
    return load_agent(file, environ or {})


def test_three_kinds_of_tools_can_be_named(tmp_path: Path) -> None:
    profile = load(tmp_path, TOOLS, SET)
    assert profile.tools == ("multiply", "lookup_order", "get-order", "ping")
    lookup, get, ping = profile.own_tools
    assert lookup == PythonTool("lookup_order", "shop.orders")
    assert get == HttpTool(
        name="get-order",
        description="Look up an order: os.environ/IS_TEXT",
        url=SET["ORDERS_URL"],
        method="GET",
        headers={"Authorization": SecretStr("Bearer s3cret"), "X-Shop": SecretStr("s")},
        parameters={
            "type": "object",
            "properties": {
                "order_id": {"type": "string", "description": "os.environ/IS_TEXT"},
                "verbose": {"type": "boolean"},
            },
            "required": ["order_id"],  # because the URL needs it
        },
        timeout=2.5,
    )
    assert ping == HttpTool("ping", "Ping.", "http://10.0.0.7:8080/ping")
    assert (lookup.key, lookup.line, ping.line) == ("tools[1]", 4, 16)
    assert profile.reviewed("lookup_order", None) and not profile.reviewed("ping", None)
    asked = ["shop.orders:lookup_order", "lookup_order", "ping", "endCall", "os:system", "look"]
    assert [profile.tool_name(each) for each in asked] == [
        "lookup_order",
        "lookup_order",
        "ping",
        "endCall",
        None,
        None,
    ]
    assert "s3cret" not in repr(profile)


HTTP = "system_prompt: x\ntools:\n- name: get\n  description: d\n  url: http://h/x\n"


@pytest.mark.parametrize(
    ("text", "line", "key", "message"),
    [
        ("system_prompt: x\ntools: [my-tools:a]\n", 2, "tools[0]", "must be module:attribute"),
        ("system_prompt: x\ntools: ['a.py:b']\ntool: []\n", 3, "tool", "did you mean 'tools'?"),
        ("system_prompt: x\ntools: [7]\n", 2, "tools[0]", "must be a tool's name, module:attribute, or a mapping"),
        ("system_prompt: x\ntools: ['a:b', 'c:b']\n", 2, "tools[1]", "the name b is taken by tools[0]"),
        ("system_prompt: x\ntools: ['a:b', 'a:b']\n", 2, "tools", "a:b is listed twice"),
        ("system_prompt: x\ntools: ['a:multiply']\n", 2, "tools[0]", "multiply is the name of a tool that ships"),
        (HTTP.replace("get", "a b"), 3, "tools[0].name", "must have 1 to 64 letters"),
        (HTTP.replace("get", "endCall"), 3, "tools[0].name", "endCall is the name of a tool that ships"),
        (HTTP.replace("  description: d\n", ""), 3, "tools[0].description", "this key is required"),
        (HTTP.replace("http://h/x", "ftp://h"), 5, "tools[0].url", "must be an HTTP URL"),
        (HTTP.replace("http://h/x", "http://h:x/"), 5, "tools[0].url", "must be an HTTP URL"),
        (HTTP.replace("http://h/x", "http://h.{a}/"), 5, "tools[0].url", "in the path and in the query only"),
        (
            HTTP.replace("http://h/x", "http://h/{id}"),
            5,
            "tools[0].url",
            "there is no parameter 'id'",
        ),
        (
            HTTP.replace("http://h/x", "os.environ/NO"),
            5,
            "tools[0].url",
            "the variable NO is not set",
        ),
        (HTTP + "  methd: GET\n", 6, "tools[0].methd", "unknown key; did you mean 'method'?"),
        (HTTP + "  method: HEAD\n", 6, "tools[0].method", "must be 'GET', 'POST', 'PUT', 'PATCH' or 'DELETE'"),
        (HTTP + "  timeout: 0\n", 6, "tools[0].timeout", "must be greater than 0"),
        (HTTP + "  headers:\n    A: Bearer os.environ/K\n", 7, "tools[0].headers.A", "must be the whole value"),
        (HTTP + "  headers:\n    A: os.environ.K\n", 7, "tools[0].headers.A", "has a slash: os.environ/K"),
        (HTTP + "  headers:\n    A: os.environ/K\n", 7, "tools[0].headers.A", "the variable K is not set"),
        (HTTP + '  headers: {A: "a\\nb"}\n', 6, "tools[0].headers", "the value of A must be printable ASCII"),
        (HTTP + "  headers: {'a b': c}\n", 6, "tools[0].headers", "'a b' is not the name of a header"),
        (HTTP + "  headers: {Content-Length: '1'}\n", 6, "tools[0].headers", "Switchboard sets Content-Length itself"),
        (HTTP + "  parameters: {type: array}\n", 6, "tools[0].parameters.type", "must be object"),
        (
            HTTP + "  parameters:\n    properties:\n      a: {type: strin}\n",
            8,
            "tools[0].parameters.properties.a.type",
            "is not valid JSON schema: 'strin'",
        ),
        (HTTP + "review: [gett]\n", 6, "review[0]", "unknown tool 'gett'; did you mean 'get'?"),
    ],
)
def test_each_fault_is_named_with_its_place(tmp_path: Path, text: str, line: int, key: str, message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load(tmp_path, text)
    found = [(each.line, each.key) for each in raised.value.problems]
    assert (line, key) in found, found
    assert message in str(raised.value)


def test_all_faults_of_a_tool_are_reported_at_once(tmp_path: Path) -> None:
    text = (
        HTTP.replace("http://h/x", "os.environ/URL") + "  headers: {A: os.environ/K}\n  timeout: -1\n  x: 1\n- oops\n"
    )
    with pytest.raises(ConfigError) as raised:
        load(tmp_path, text)
    keys = ["tools[0].timeout", "tools[0].x", "tools[1]", "tools[0].url", "tools[0].headers.A"]
    assert [each.key for each in raised.value.problems] == keys
