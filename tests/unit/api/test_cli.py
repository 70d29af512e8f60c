"""The command line, run in a directory of its own."""

import errno
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from api.cli import app
from api.listening import bind, port_of
from config.callers.caller import token_hash
from config.settings import Settings

MODELS = """\
model_list:
  - {model_name: real, litellm_params: {model: openai/gpt-4.1, api_key: os.environ/OPENAI_API_KEY}}
  - {model_name: fake, litellm_params: {model: fake/echo}}
"""


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for name in list(os.environ):
        if name.startswith("SWITCHBOARD_") or name == "OPENAI_API_KEY":
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models.yaml").write_text(MODELS)
    before = dict(os.environ)
    yield tmp_path
    os.environ.clear()
    os.environ.update(before)


Served = list[tuple[Settings, int]]


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Served:
    """The settings and the bound port of each call to serve, instead of serving."""
    calls: Served = []

    def serve(settings: Settings, sockets: list[socket.socket], ready: Callable[[], None]) -> None:
        ready()
        calls.append((settings, port_of(sockets)))
        for each in sockets:
            each.close()

    monkeypatch.setattr("api.server.serve", serve)
    return calls


@pytest.fixture
def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})


def test_check_shows_each_deployment_and_the_key_that_it_lacks() -> None:
    result = run("check")
    assert result.exit_code == 0
    real, fake = (
        line for line in result.stdout.splitlines() if "openai/" in line or ("fake/echo " in line and "│" in line)
    )
    assert "needs OPENAI_API_KEY" in real and "ready" in fake
    assert "Default model: fake (fake/echo)" in result.stdout


def test_check_reads_keys_from_the_env_file_without_setting_them(directory: Path) -> None:
    (directory / ".env").write_text("OPENAI_API_KEY=sk-hush\n")
    result = run("check")
    assert "Default model: real" in result.stdout
    assert "sk-hush" not in result.output and "OPENAI_API_KEY" not in os.environ


def test_check_prints_every_problem_of_both_files_and_fails(directory: Path) -> None:
    (directory / "other.yaml").write_text(MODELS + "router_setting: {}\nrouter_settings: {num_retries: many}\n")
    (directory / "agent.yaml").write_text("tools: [nope]\n")
    result = run("check", "other.yaml", "--agent", "agent.yaml")
    assert result.exit_code == 1
    lines = result.stderr.splitlines()
    assert "other.yaml:4: router_setting: unknown key; did you mean 'router_settings'?" in lines
    assert "other.yaml:5: router_settings.num_retries: must be a whole number, not text" in lines
    assert any(line.startswith("agent.yaml:1: tools[0]: unknown tool 'nope'") for line in lines)
    assert any(line.startswith("agent.yaml:1: system_prompt: this key is required") for line in lines)


def test_check_shows_the_line_of_a_syntax_error_with_a_caret(directory: Path) -> None:
    (directory / "models.yaml").write_text("model_list:\n\t- model_name: a\n")
    assert run("check").stderr == (
        "models.yaml:2: invalid YAML: a tab indents this line; use spaces\n    →- model_name: a\n    ^\n"
    )


def test_check_says_which_package_a_provider_needs(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "google", None)
    (directory / "models.yaml").write_text(MODELS + "  - {model_name: v, litellm_params: {model: vertex_ai/x}}\n")
    result = run("check")
    (line,) = (line for line in result.stdout.splitlines() if "vertex_ai/x" in line)
    assert result.exit_code == 0 and "left out: needs pip install google-auth" in line and "ready" not in line


def test_check_refuses_a_misspelled_provider(directory: Path) -> None:
    (directory / "models.yaml").write_text(MODELS.replace("openai/", "openia/"))
    result = run("check")
    assert result.exit_code == 1
    assert result.stderr == (
        "models.yaml:2: model_list[0].litellm_params.model: LiteLLM has no provider 'openia'; did you mean 'openai'?\n"
    )


def test_check_prints_warnings_and_passes(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (directory / "models.yaml").write_text(MODELS + "general_settings: {master_key: x}\n")
    monkeypatch.setenv("SWITCHBOARD_PROT", "1")
    result = run("check")
    assert result.exit_code == 0
    assert (
        "warning: general_settings.master_key is ignored: callers' tokens are in SWITCHBOARD_API_TOKENS"
        in result.stdout
    )
    assert "warning: SWITCHBOARD_PROT is not a setting; did you mean 'SWITCHBOARD_PORT'?" in result.stdout


def test_check_prints_the_schema() -> None:
    schema = json.loads(run("check", "--schema").stdout)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["additionalProperties"] is False
    assert "temperature" in schema["$defs"]["LiteLLMParams"]["properties"]


def test_serve_refuses_to_start_without_a_token_and_gives_the_line(served: Served) -> None:
    result = run("serve")
    assert (result.exit_code, served) == (1, [])
    assert "SWITCHBOARD_API_TOKENS=" in result.stderr and "Traceback" not in result.output


def test_serve_refuses_a_bad_file_with_its_place(
    directory: Path, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SWITCHBOARD_API_TOKENS", "t")
    (directory / "models.yaml").write_text("model_list: []\n")
    result = run("serve", "--port", "0")
    assert (result.exit_code, served) == (1, [])
    assert result.stderr == "models.yaml:1: model_list: must contain at least one deployment\n"


def test_serve_without_files_says_what_writes_them(
    directory: Path, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    (directory / "models.yaml").unlink()
    assert "Run `switchboard init`" in run("serve").stderr
    monkeypatch.setenv("SWITCHBOARD_API_TOKENS", "t")
    result = run("serve", "--port", "0")
    assert (result.exit_code, served) == (1, [])
    assert result.stderr == (
        "models.yaml: the file does not exist. Run `switchboard init`, which writes one, or name yours with --models\n"
    )
    assert run("init").stdout.splitlines()[:3] == ["wrote    models.yaml", "wrote    agent.yaml", "wrote    .env"]
    assert run("serve", "--port", "0").exit_code == 0 and len(served) == 1


def test_init_says_which_file_it_cannot_write(directory: Path) -> None:
    (directory / "agent.yaml.bak").mkdir()
    (directory / "agent.yaml").write_text("")
    result = run("init", "--force")
    assert result.exit_code == 1 and result.stderr.startswith("cannot write agent.yaml")


def test_serve_hands_what_was_asked_for_to_the_processes_that_serve(
    directory: Path, served: Served, free_port: int
) -> None:
    (directory / ".env").write_text("SWITCHBOARD_API_TOKENS=hush\nOPENAI_API_KEY=sk\nSWITCHBOARD_PORT=1\n")
    (directory / "mine.yaml").write_text(MODELS)
    result = run("serve", "--port", str(free_port), "--models", "mine.yaml", "--workers", "2")
    assert result.exit_code == 0
    ((settings, bound),) = served
    assert (settings.host, settings.port, settings.workers) == ("127.0.0.1", free_port, 2)
    assert bound == free_port
    assert os.environ["SWITCHBOARD_MODELS_FILE"] == str(directory / "mine.yaml")
    assert (os.environ["SWITCHBOARD_PORT"], os.environ["OPENAI_API_KEY"]) == (str(free_port), "sk")
    assert f"http://127.0.0.1:{free_port}/v1" in result.stdout
    assert f"SWITCHBOARD_API_TOKENS in {directory / '.env'}" in result.stdout
    assert "Default   real (openai/gpt-4.1)" in result.stdout
    assert "hush" not in result.output


def test_serve_says_that_a_token_is_in_the_environment(
    directory: Path, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    (directory / ".env").write_text("SWITCHBOARD_API_TOKENS=other\n")
    monkeypatch.setenv("SWITCHBOARD_API_TOKENS", "t")
    assert "SWITCHBOARD_API_TOKENS in the environment" in run("serve", "--port", "0").stdout


def test_serve_finds_a_busy_port_before_it_reads_the_files_and_prints_anything(
    directory: Path, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SWITCHBOARD_API_TOKENS", "t")
    (directory / "models.yaml").write_text("model_list: []\n")
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        result = run("serve", "--port", str(port))
    assert (result.exit_code, served, result.stdout) == (1, [], "")
    assert result.stderr == (
        f"SWITCHBOARD_PORT: cannot listen on port {port} of 127.0.0.1: another program uses it. "
        "Stop that program, or choose another port with --port\n"
    )


def test_serve_prints_the_port_that_it_found(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWITCHBOARD_API_TOKENS", "t")
    result = run("serve", "--port", "0", "--host", "localhost")
    ((_, bound),) = served
    assert bound > 0 and f"http://localhost:{bound}/v1" in result.stdout


def test_serve_says_in_few_lines_what_a_person_asks_first(
    directory: Path, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SWITCHBOARD_API_TOKENS", "t")
    result = run("serve", "--port", "0", "--host", "0.0.0.0")
    ((_, port),) = served
    assert result.stderr == ""
    assert result.stdout.splitlines()[1:] == [
        f"  Console   http://localhost:{port}/",
        f"  API       http://localhost:{port}/v1",
        f"  Docs      http://localhost:{port}/docs",
        "  Token     SWITCHBOARD_API_TOKENS in the environment",
        "  Models    1 ready; 1 left out, see `switchboard check`",
        "  Default   fake (fake/echo)",
        "  Agent     agent.yaml (shipped)",
        "  Database  data/switchboard.db",
    ]


def test_where_the_log_is_json_the_summary_is_a_line_of_it(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWITCHBOARD_API_TOKENS", "hush")
    monkeypatch.setenv("SWITCHBOARD_LOG_JSON", "true")
    result = run("serve", "--port", "0")
    (line,) = (json.loads(each) for each in result.output.splitlines())
    assert (line["event"], line["models"], line["left_out"]) == ("ready", ["fake"], 1)
    assert "hush" not in result.output


@pytest.mark.parametrize(
    "arguments", [("serve", "--port", "65536"), ("serve", "--workers", "0"), ("worker", "--concurrency", "0")]
)
def test_an_option_out_of_range_is_named_as_it_was_typed(arguments: tuple[str, ...]) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert f"Invalid value for '{arguments[1]}'" in result.stderr
    assert ".env" not in result.stderr


def test_the_version_is_printed() -> None:
    result = run("--version")
    assert (result.exit_code, result.stdout) == (0, f"switchboard {version('switchboard')}\n")


def test_no_command_but_serve_imports_what_is_slow() -> None:
    code = (
        "import sys; from typer.testing import CliRunner; from api.cli import app\n"
        "assert CliRunner().invoke(app, ['check']).exit_code == 0\n"
        "print([name for name in ('litellm', 'langgraph', 'fastapi', 'uvicorn') if name in sys.modules])"
    )
    root = Path(__file__).parents[3]
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(root)}
    )
    assert ran.stdout.strip() == "[]", ran.stderr


def test_a_child_process_does_not_keep_the_port_of_a_server_that_was_killed() -> None:
    listeners = bind("127.0.0.1", 0)
    try:
        assert not any(each.get_inheritable() for each in listeners)
    finally:
        for each in listeners:
            each.close()


def test_check_shows_what_comes_from_variables_alone(directory: Path) -> None:
    (directory / ".env").write_text(
        "OPENAI_BASE_URL=http://user:secret@localhost:1234/v1\nMCP_URL=http://tools:9000/secret"
    )
    result = run("check")
    assert "OPENAI_BASE_URL: openai/ without an api_base is at http://localhost:1234" in result.output
    assert "MCP_URL: MCP server mcp at http://tools:9000" in result.output
    assert "secret" not in result.output


NOWHERE = "unix:///nowhere.sock"


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"TASK_QUEUE": "celery"}, "SWITCHBOARD_REDIS_URL: Celery needs Redis"),
        ({"REDIS_URL": NOWHERE}, "SWITCHBOARD_TASK_QUEUE: must be celery"),
        ({"TASK_QUEUE": "celery", "REDIS_URL": NOWHERE}, "SWITCHBOARD_REDIS_URL: Redis cannot be reached"),
        (
            {"TASK_QUEUE": "celery", "REDIS_URL": NOWHERE, "DATABASE_URL": "postgresql:///x?host=/nowhere"},
            "SWITCHBOARD_DATABASE_URL: the database ",
        ),
    ],
)
def test_a_worker_that_cannot_start_says_why(
    directory: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], says: str
) -> None:
    (directory / "agent.yaml").write_text("system_prompt: Be kind.\n")
    for name, value in {"STARTUP_WAIT": "0", "AGENT_FILE": "agent.yaml", **settings}.items():
        monkeypatch.setenv(f"SWITCHBOARD_{name}", value)
    result = run("worker")
    assert result.exit_code == 1
    assert says in result.stderr.splitlines()[-1]


def test_a_server_with_celery_needs_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWITCHBOARD_TASK_QUEUE", "celery")
    monkeypatch.setenv("SWITCHBOARD_API_TOKENS", "t")
    result = run("serve")
    assert result.exit_code == 1
    assert "SWITCHBOARD_REDIS_URL: Celery needs Redis" in result.stderr


def test_a_new_token_is_printed_once_and_its_hash_is_the_entry(directory: Path) -> None:
    shown = run("token", "new", "phone")
    (token,) = shown.stdout.split()
    assert shown.exit_code == 0 and token_hash(token) in shown.stderr and not (directory / "callers.yaml").exists()
    written = run("token", "new", "phone", "--write")
    text = (directory / "callers.yaml").read_text()
    assert token_hash(written.stdout.strip()) in text and written.stdout.strip() not in text
    again = run("token", "new", "phone", "--write")
    assert again.exit_code == 1 and "callers.yaml:4: callers[1].name: two callers cannot have this name" in again.stderr
    assert not again.stdout and (directory / "callers.yaml").read_text() == text
    assert "must have 1 to 32 letters" in run("token", "new", "a b").stderr


def test_a_token_is_not_shown_if_the_file_cannot_take_it(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    (directory / "binary.yaml").write_bytes(b"callers: \xff\n")
    binary, folder = [run("token", "new", "a", "--write", "--file", each) for each in ("binary.yaml", ".")]
    monkeypatch.setattr(os, "fsync", full)
    unwritten = run("token", "new", "a", "--write", "--file", "callers.yaml")
    assert "binary.yaml:1: the file is not UTF-8 text" in binary.stderr
    assert "the file cannot be read: Is a directory" in folder.stderr
    assert unwritten.stderr == "cannot write callers.yaml: No space left on device\n"
    assert [each.stdout for each in (binary, folder, unwritten)] == ["", "", ""]
    assert [each.name for each in directory.glob("*callers*")] == []


@pytest.mark.parametrize("client", [("chat", "--user", "a"), ("call",), ("rehearse", "script.yaml")])
@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        ("--token", "tök", "HTTP headers cannot"),
        ("--token", "two\nlines", "HTTP headers cannot"),
        ("--url", "http://[::1", "must be an HTTP URL"),
        ("--url", "http://localhost:99999", "must be an HTTP URL"),
        ("--url", "localhost:8000", "must be an HTTP URL"),
        ("--url", "", "must be an HTTP URL"),
    ],
)
def test_clients_refuse_what_no_request_can_have(client: tuple[str, ...], option: str, value: str, told: str) -> None:
    result = run(*client, "--token", "t", option, value)
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"for '{option}'" in result.stderr and told in result.stderr


def test_callers_are_listed_with_what_limits_them(directory: Path) -> None:
    assert "callers.yaml: the file does not exist" in run("token", "list").stderr
    run("token", "new", "web", "--write")
    run("token", "new", "phone", "--write")
    with (directory / "callers.yaml").open("a") as file:
        file.write("    models: [fake]\n    requests_per_minute: 60\n    expires: 2020-01-01\n    users: own\n")
    web, phone = run("token", "list").stdout.splitlines()
    assert web.split() == ["web", "no", "limits"]
    assert phone.startswith("phone ")
    assert phone.endswith("models: fake; requests/min: 60; users: own; EXPIRED: 2020-01-01 23:59 UTC")


def test_check_and_serve_find_the_problems_of_callers(
    directory: Path, monkeypatch: pytest.MonkeyPatch, served: Served, free_port: int
) -> None:
    monkeypatch.setenv("SWITCHBOARD_CALLERS_FILE", "callers.yaml")
    assert "callers.yaml: the file does not exist" in run("check").stderr
    run("token", "new", "phone", "--write")
    with (directory / "callers.yaml").open("a") as file:
        file.write("    models: [real, fak]\n")
    checked = run("check")
    assert checked.exit_code == 0 and "callers.yaml are valid" in checked.stdout
    assert "warning: callers.yaml: phone may use 'fak', which is no model; did you mean 'fake'?" in checked.stdout
    started = run("serve", "--port", str(free_port))  # without SWITCHBOARD_API_TOKENS
    assert started.exit_code == 0 and len(served) == 1, started.stderr
    with (directory / "callers.yaml").open("a") as file:
        file.write("    model: fake\n")
    refused = run("check")
    assert refused.exit_code == 1 and "callers[0].model: unknown key; did you mean 'models'?" in refused.stderr
