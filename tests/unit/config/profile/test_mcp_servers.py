"""`mcp_servers` and `review` of agent.yaml: valid sections and the problems of invalid ones."""

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from config.errors import ConfigError
from config.profile.agent_file import DEFAULT_AGENT_FILE, AgentProfile, load_agent
from config.profile.mcp_servers import HttpTransport, McpServer, StdioTransport

SERVERS = """\
system_prompt: os.environ/NOT_A_REFERENCE
mcp_servers:
  weather:
    command: npx
    args: [-y, weather]
    env: {KEY: os.environ/WEATHER_KEY, MODE: plain}
    cwd: /srv
    timeout: 2.5
    allow: [forecast]
  bookings-2:
    url: https://example.com/mcp
    headers: {Authorization: os.environ/BOOKINGS}
"""
SET = {"WEATHER_KEY": "s3cret-key", "BOOKINGS": "Bearer s3cret"}


def load(tmp_path: Path, text: str, environ: dict[str, str] | None = None) -> AgentProfile:
    file = tmp_path / "agent.yaml"
    file.write_text(text, encoding="utf-8")
    return load_agent(file, environ or {})


def test_a_program_and_an_address_can_be_named(tmp_path: Path) -> None:
    profile = load(tmp_path, SERVERS, SET)
    assert profile.system_prompt == "os.environ/NOT_A_REFERENCE"
    weather_env = {"KEY": SecretStr("s3cret-key"), "MODE": SecretStr("plain")}
    assert profile.mcp_servers == (
        McpServer(
            "weather", StdioTransport("npx", ("-y", "weather"), weather_env, "/srv"), timeout=2.5, allow=("forecast",)
        ),
        McpServer(
            "bookings-2", HttpTransport("https://example.com/mcp", {"Authorization": SecretStr("Bearer s3cret")}), 10.0
        ),
    )


def test_a_module_is_run_by_this_python_and_finds_what_this_server_finds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "system_prompt: x\nmcp_servers:\n  a: {module: some.where, args: [-v], env: {MODE: plain}}\n"
    monkeypatch.setenv("PYTHONPATH", "/packages")
    [server] = load(tmp_path, text).mcp_servers
    env = {"PYTHONPATH": SecretStr("/packages"), "MODE": SecretStr("plain")}
    assert server.transport == StdioTransport(sys.executable, ("-P", "-m", "some.where", "-v"), env)


def test_secrets_are_not_shown(tmp_path: Path) -> None:
    profile = load(tmp_path, SERVERS.replace("https://example.com/mcp", "https://example.com/s3cret"), SET)
    assert "s3cret" not in repr(profile)


def test_a_variable_that_is_not_set_is_missing_from_its_server_alone(tmp_path: Path) -> None:
    text = SERVERS.replace("https://example.com/mcp", "os.environ/BOOKINGS_URL")
    weather, bookings = load(tmp_path, text, {"WEATHER_KEY": "x", "BOOKINGS": ""}).mcp_servers
    assert (weather.missing, bookings.missing) == ((), ("BOOKINGS_URL", "BOOKINGS"))


def test_the_environment_is_read_unless_another_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEATHER_KEY", "x")
    file = tmp_path / "agent.yaml"
    file.write_text(SERVERS)
    assert [each.missing for each in load_agent(file).mcp_servers] == [(), ("BOOKINGS",)]


def test_no_servers_may_be_named(tmp_path: Path) -> None:
    profile = load(tmp_path, "{system_prompt: x, mcp_servers: {}, review: ['mcp:*']}")
    assert (profile.mcp_servers, profile.review) == ((), ("mcp:*",))
    assert load(tmp_path, "{system_prompt: x, mcp_servers: , review: }").mcp_servers == ()


def servers(entry: str) -> str:
    return f"system_prompt: x\nmcp_servers:\n  a:\n    {entry}\n"


@pytest.mark.parametrize(
    ("text", "line", "key", "message"),
    [
        ("system_prompt: x\nmcp_servers: [a]\n", 2, "mcp_servers", "must be a mapping"),
        ("system_prompt: x\nmcp_servers:\n  a b: {command: x}\n", 3, "mcp_servers.a b", "letters, digits, - and _"),
        ("system_prompt: x\nmcp_servers:\n  'a:b': {command: x}\n", 3, "mcp_servers.a:b", "letters, digits, - and _"),
        ("system_prompt: x\nmcp_servers:\n  a: {}\n", 3, "mcp_servers.a", "must have either `command`"),
        (servers("{command: x, url: 'http://h/'}"), 3, "mcp_servers.a", "must have either `command`"),
        (servers("{command: x, module: y}"), 3, "mcp_servers.a", "must have either `command`"),
        (servers("{module: y, headers: {a: b}}"), 3, "mcp_servers.a", "cannot be combined with `module`"),
        (servers("{module: weather-server.py}"), 4, "mcp_servers.a.module", "must be the name of a Python module"),
        (servers("{command: x, headers: {}}"), 3, "mcp_servers.a", "`headers` cannot be combined with `command`"),
        (servers("{url: 'http://h/', env: {}}"), 3, "mcp_servers.a", "`env` cannot be combined with `url`"),
        (servers("{url: 'http://h/', args: []}"), 3, "mcp_servers.a", "`args` cannot be combined with `url`"),
        (servers("{url: 'http://h/', cwd: x}"), 3, "mcp_servers.a", "`cwd` cannot be combined with `url`"),
        (servers("comand: x"), 4, "mcp_servers.a.comand", "unknown key"),
        (servers("command: ''"), 4, "mcp_servers.a.command", "must not be empty"),
        (servers("url: example.com"), 4, "mcp_servers.a.url", "must be an HTTP URL"),
        (servers("url: ws://example.com"), 4, "mcp_servers.a.url", "must be an HTTP URL"),
        (servers("url: 'http://h:x/'"), 4, "mcp_servers.a.url", "must be an HTTP URL"),
        (servers("{command: x, timeout: 0}"), 4, "mcp_servers.a.timeout", "must be greater than 0"),
        (servers("{command: x, timeout: yes}"), 4, "mcp_servers.a.timeout", "must be a number"),
        (servers("{command: x, allow: forecast}"), 4, "mcp_servers.a.allow", "must be a list, not text"),
        (servers("{command: x, env: {PORT: 80}}"), 4, "mcp_servers.a.env.PORT", "put it in quotes"),
        ("system_prompt: x\nreview:\n- book_hotl\n", 3, "review[0]", "did you mean 'book_hotel'?"),
        (
            "system_prompt: x\nreview: [zz]\n",
            2,
            "review[0]",
            "the tools are multiply, book_hotel, sendDigits,",
        ),
        ("system_prompt: x\nreview: [multiply, transferCall]\n", 2, "review[1]", "cannot be reviewed"),
        ("system_prompt: x\nreview: [endCall]\n", 2, "review[0]", "cannot be reviewed"),
        ("system_prompt: x\nreview: [multiply, multiply]\n", 2, "review", "is listed twice"),
        ("system_prompt: x\nreview: ['mcp:a']\n", 2, "review[0]", "must be mcp:<server>:<tool>"),
        ("system_prompt: x\nreview: ['mcp::b']\n", 2, "review[0]", "must be mcp:<server>:<tool>"),
        ("system_prompt: x\nreview: ['mcp:a:b']\n", 2, "review[0]", "unknown MCP server 'a'"),
        (
            "system_prompt: x\nreview: [multiply, 'mcp:wether:*']\nmcp_servers: {weather: {command: x}}\n",
            2,
            "review[1]",
            "did you mean 'weather'?",
        ),
    ],
)
def test_each_fault_is_named_with_its_place(tmp_path: Path, text: str, line: int, key: str, message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load(tmp_path, text)
    (problem,) = raised.value.problems
    assert (problem.line, problem.key) == (line, key)
    assert message in problem.message


def test_a_server_with_a_fault_is_not_also_called_unknown(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        load(tmp_path, "system_prompt: x\nreview: ['mcp:a:*']\nmcp_servers:\n  a: {comand: x}\n")
    assert [each.key for each in raised.value.problems] == ["mcp_servers.a.comand"]


REVIEW = "{system_prompt: x, mcp_servers: {web: {command: x}, crm: {command: x}}, review: [%s]}"


@pytest.mark.parametrize(
    ("patterns", "reviewed"),
    [
        ("", set()),
        ("book_hotel", {("book_hotel", None)}),
        ("'mcp:*'", {("book_hotel", "web"), ("get", "web"), ("get", "crm"), ("get:more", "crm")}),
        ("'mcp:web:*'", {("book_hotel", "web"), ("get", "web")}),
        ("'mcp:*:get'", {("get", "web"), ("get", "crm")}),
        ("'mcp:c?m:get*'", {("get", "crm"), ("get:more", "crm")}),
        ("multiply, 'mcp:web:GET'", {("multiply", None)}),
    ],
)
def test_review_names_tools_of_the_agent_and_of_servers(
    tmp_path: Path, patterns: str, reviewed: set[tuple[str, str | None]]
) -> None:
    profile = load(tmp_path, REVIEW % patterns)
    tools = [("book_hotel", None), ("multiply", None), ("book_hotel", "web"), ("get", "web"), ("get", "crm")]
    tools += [("get:more", "crm")]
    assert {each for each in tools if profile.reviewed(*each)} == reviewed


@given(st.text(min_size=1), st.sampled_from(["web", "crm"]))
def test_mcp_star_reviews_every_tool_of_every_server(tool: str, server: str) -> None:
    assert AgentProfile("x", review=("mcp:*",)).reviewed(tool, server)


def test_the_examples_in_the_shipped_file_are_right(tmp_path: Path) -> None:
    lines = DEFAULT_AGENT_FILE.read_text("utf-8").splitlines()
    begin = lines.index("# mcp_servers:")
    examples = [line.removeprefix("# ") for line in lines[begin:] if line.startswith(("# mcp_", "#   ", "# review:"))]
    profile = load(tmp_path, "\n".join([*lines[:begin], *examples]), {"WEATHER_KEY": "x"})
    assert [(each.name, each.missing) for each in profile.mcp_servers] == [
        ("weather", ()),
        ("example", ()),
        ("bookings", ("BOOKINGS_AUTHORIZATION",)),
    ]
    assert profile.reviewed("get_forecast", "weather") and profile.reviewed("create_booking", "bookings")


def test_the_environment_can_name_one_more_server(tmp_path: Path) -> None:
    here = {"MCP_URL": "http://127.0.0.1:9000/mcp"}
    extra = McpServer("mcp", HttpTransport("http://127.0.0.1:9000/mcp"))
    assert load(tmp_path, "system_prompt: Hello.", here).mcp_servers == (extra,)
    assert [each.name for each in load(tmp_path, SERVERS, SET | here).mcp_servers] == ["weather", "bookings-2", "mcp"]
    assert load(tmp_path, "system_prompt: Hello.\nreview: ['mcp:mcp:*']", here).reviewed("add", "mcp")
    assert load(tmp_path, "system_prompt: Hello.", {"MCP_URL": ""}).mcp_servers == ()


def test_a_server_of_the_file_is_not_added_twice(tmp_path: Path) -> None:
    profile = load(tmp_path, SERVERS, SET | {"MCP_URL": "https://example.com/mcp"})
    assert [each.name for each in profile.mcp_servers] == ["weather", "bookings-2"]


@pytest.mark.parametrize(
    ("url", "says"), [("localhost:9000", "HTTP URL"), ("http://h:x/mcp", "HTTP URL"), ("http://other/mcp", "rename")]
)
def test_what_is_wrong_with_the_environments_server_is_a_problem(tmp_path: Path, url: str, says: str) -> None:
    text = "system_prompt: Hello.\nmcp_servers: {mcp: {url: http://one/mcp}}"
    with pytest.raises(ConfigError, match=says) as caught:
        load(tmp_path, text, {"MCP_URL": url})
    assert [each.key for each in caught.value.problems] == ["MCP_URL"]
