"""Settings from the environment and .env."""

import base64
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.errors import ConfigError
from config.profile.agent_file import DEFAULT_AGENT_FILE
from config.settings import (
    Settings,
    load_environment,
    load_settings,
    require_relay_secret,
    require_tokens,
    unknown_settings,
)


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Removes the developer's own settings, and checks that reading settings does not change the environment."""
    for name in list(os.environ):
        if name.startswith("SWITCHBOARD_"):
            monkeypatch.delenv(name)
    before = dict(os.environ)
    yield
    monkeypatch.undo()
    assert {name for name in os.environ if name not in before} <= {"PYTEST_CURRENT_TEST"} | {
        name for name in os.environ if name.startswith("SWITCHBOARD_")
    }


@pytest.fixture
def env_file(tmp_path: Path) -> Path:
    return tmp_path / ".env"


def secrets_of(settings: Settings) -> list[str]:
    return [token.get_secret_value() for token in settings.api_tokens]


def faults(env_file: Path | None) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        load_settings(env_file)
    return [str(problem) for problem in raised.value.problems]


def test_defaults(env_file: Path) -> None:
    settings = load_settings(env_file)
    assert (settings.host, settings.port, settings.workers) == ("127.0.0.1", 8000, 1)
    assert (settings.models_file, settings.agent_file) == (Path("models.yaml"), DEFAULT_AGENT_FILE)
    assert (settings.max_body_bytes, settings.keep_alive_interval) == (2 * 1024 * 1024, 2.0)
    assert (settings.log_level, settings.log_json, settings.api_tokens) == ("INFO", False, ())
    assert settings.redis_url is None


def test_the_environment_wins_over_the_file_and_the_command_line_over_both(
    env_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    env_file.write_text("SWITCHBOARD_PORT=1\nSWITCHBOARD_LOG_LEVEL=debug\nSWITCHBOARD_HOST=a\n")
    monkeypatch.setenv("SWITCHBOARD_PORT", "2")
    monkeypatch.setenv("SWITCHBOARD_LOG_LEVEL", "")
    settings = load_settings(env_file, host="b", port=None)
    assert (settings.port, settings.log_level, settings.host) == (2, "DEBUG", "b")


def test_tokens_are_separated_by_commas_and_do_not_show(env_file: Path) -> None:
    env_file.write_text('SWITCHBOARD_API_TOKENS=" first, second ,,"\n')
    settings = load_settings(env_file)
    assert secrets_of(settings) == ["first", "second"]
    assert "first" not in repr(settings)
    require_tokens(settings)


@pytest.mark.parametrize("value", ["'one two'", "one two", '"one\\ntwo"', "ключ"])
def test_a_token_that_cannot_be_sent_is_an_error_that_does_not_quote_it(env_file: Path, value: str) -> None:
    env_file.write_text(f"SWITCHBOARD_API_TOKENS={value}\n", encoding="utf-8")
    (fault,) = faults(env_file)
    assert fault.startswith(f"{env_file}: SWITCHBOARD_API_TOKENS: a token contains a ")
    assert "one" not in fault.removeprefix(str(env_file))


@pytest.mark.parametrize("value", ["0123456789abcde", "0123456789abcdef/0", "0123456789 abcdef", "0123456789abcdeé"])
def test_a_secret_that_does_not_fit_into_an_address_is_an_error_that_does_not_quote_it(
    env_file: Path, value: str
) -> None:
    env_file.write_text(f"SWITCHBOARD_RETELL_SECRET={value}\n", encoding="utf-8")
    (fault,) = faults(env_file)
    assert fault.startswith(f"{env_file}: SWITCHBOARD_RETELL_SECRET: must have at least 16 letters")
    assert "0123" not in fault.removeprefix(str(env_file))


@pytest.mark.parametrize(
    "value",
    ["redis://127.0.0.1", "redis://:hunter2@cache:6379/1", "rediss://u:p@[::1]:6380/0", "unix:///run/redis.sock?db=1"],
)
def test_the_address_of_redis_does_not_show(env_file: Path, value: str) -> None:
    env_file.write_text(f"SWITCHBOARD_REDIS_URL={value}\n")
    settings = load_settings(env_file)
    assert settings.redis_url is not None and settings.redis_url.get_secret_value() == value
    assert value not in repr(settings)


@pytest.mark.parametrize(
    "value",
    [
        "127.0.0.1:6379",
        "http://hunter2@cache",
        "redis://",
        "redis://hunter2:6379x/0",
        "redis://hunter2/first",
        "unix://",
    ],
)
def test_an_address_that_is_not_redis_is_an_error_that_does_not_quote_it(env_file: Path, value: str) -> None:
    env_file.write_text(f"SWITCHBOARD_REDIS_URL={value}\n")
    (fault,) = faults(env_file)
    assert fault.startswith(f"{env_file}: SWITCHBOARD_REDIS_URL: must be redis://")
    assert "hunter2" not in fault


def test_the_folder_of_the_metrics_has_to_exist(env_file: Path) -> None:
    env_file.write_text("SWITCHBOARD_METRICS_DIR=missing\n")
    (fault,) = faults(env_file)
    assert "SWITCHBOARD_METRICS_DIR: there is no such folder" in fault


@pytest.mark.parametrize("value", ["", ",", " , "])
def test_without_tokens_the_line_to_add_is_given(env_file: Path, value: str) -> None:
    env_file.write_text(f"SWITCHBOARD_API_TOKENS='{value}'\n")
    with pytest.raises(ConfigError) as raised:
        require_tokens(load_settings(env_file))
    line = next(line.strip() for line in str(raised.value).splitlines() if "SWITCHBOARD_API_TOKENS=" in line)
    env_file.write_text(f"{line}\n")
    require_tokens(load_settings(env_file))


def test_every_wrong_setting_is_named(env_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    env_file.write_text("SWITCHBOARD_LOG_LEVEL=loud\nSWITCHBOARD_KEEP_ALIVE_INTERVAL=0\nSWITCHBOARD_LOG_JSON=perhaps\n")
    monkeypatch.setenv("SWITCHBOARD_PORT", "tcp://10.0.0.1:8000")
    monkeypatch.setenv("SWITCHBOARD_WORKERS", "many")
    found = {fault.partition("SWITCHBOARD_")[2].partition(":")[0]: fault for fault in faults(env_file)}
    assert set(found) == {"LOG_LEVEL", "KEEP_ALIVE_INTERVAL", "LOG_JSON", "PORT", "WORKERS"}
    assert "Kubernetes" in found["PORT"]
    assert found["WORKERS"] == "SWITCHBOARD_WORKERS: must be a valid integer"
    assert found["LOG_JSON"] == f"{env_file}: SWITCHBOARD_LOG_JSON: must be a valid boolean"


def test_an_invalid_line_of_the_file_is_named(env_file: Path) -> None:
    env_file.write_text("A=1\nthis is = not \"a line\nB='2\n")
    assert faults(env_file)[0] == f"{env_file}:2: the line must have the form NAME=value"


def test_a_file_that_is_not_text_is_named(env_file: Path) -> None:
    env_file.write_bytes(b"A=\xff\n")
    assert faults(env_file) == [f"{env_file}: the file is not UTF-8 text"]
    env_file.unlink()
    env_file.mkdir()
    assert faults(env_file)[0].startswith(f"{env_file}: the file cannot be read: ")


def test_providers_keys_may_stand_in_either_place(env_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    env_file.write_text("OPENAI_API_KEY=from-file\nGROQ_API_KEY=from-file\nMISTRAL_API_KEY=\n")
    monkeypatch.setenv("OPENAI_API_KEY", "from-environment")
    monkeypatch.setenv("GROQ_API_KEY", "")
    monkeypatch.delenv("MISTRAL_API_KEY", raising=False)
    environ = load_environment(env_file)
    assert (environ["OPENAI_API_KEY"], environ["GROQ_API_KEY"]) == ("from-environment", "from-file")
    assert "MISTRAL_API_KEY" not in environ
    assert os.environ["GROQ_API_KEY"] == ""


def test_a_misspelt_setting_is_a_warning_with_the_nearest_one() -> None:
    environ = {"SWITCHBOARD_API_TOKEN": "x", "SWITCHBOARD_PORT": "1", "SWITCHBOARD_PORT_8000_TCP": "y", "OTHER": "z"}
    misspelt, foreign = unknown_settings(environ)
    assert misspelt == "SWITCHBOARD_API_TOKEN is not a setting; did you mean 'SWITCHBOARD_API_TOKENS'?"
    assert foreign.startswith("SWITCHBOARD_PORT_8000_TCP is not a setting")


def test_the_drain_time_has_two_names(env_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    env_file.write_text("SWITCHBOARD_DRAIN_TIME=4\n")
    assert load_settings(env_file).drain_time == 4
    monkeypatch.setenv("SWITCHBOARD_DRAIN_SECONDS", "3")
    assert load_settings(env_file).drain_time == 3
    assert load_settings(env_file, drain_time=7).drain_time == 7
    assert unknown_settings(load_environment(env_file)) == ()
    monkeypatch.setenv("SWITCHBOARD_DRAIN_SECONDS", "soon")
    assert faults(env_file) == ["SWITCHBOARD_DRAIN_SECONDS: must be a valid number"]


@pytest.mark.parametrize(
    ("value", "origins"),
    [
        ("", ()),
        ("https://app.example", ("https://app.example",)),
        ("https://App.example:443, http://localhost:5173,", ("https://app.example", "http://localhost:5173")),
        ("http://[::1]:3000,capacitor://localhost", ("http://[::1]:3000", "capacitor://localhost")),
        ("*", ("*",)),
    ],
)
def test_origins_are_read_as_browsers_send_them(env_file: Path, value: str, origins: tuple[str, ...]) -> None:
    env_file.write_text(f"SWITCHBOARD_CORS_ORIGINS={value}\n")
    assert load_settings(env_file).cors_origins == origins


@pytest.mark.parametrize(
    "value",
    [
        "app.example",
        "https://app.example/",
        "https://app.example/chat",
        "https://ann:hunter2@app.example",
        "https://*.app.example",
        "https://app.example:99999",
        "null",
        "*,https://app.example",
        "https://a.example https://b.example",
    ],
)
def test_what_is_no_origin_is_an_error(env_file: Path, value: str) -> None:
    env_file.write_text(f"SWITCHBOARD_CORS_ORIGINS={value}\n")
    (fault,) = faults(env_file)
    assert fault.startswith(f"{env_file}: SWITCHBOARD_CORS_ORIGINS: ") and "hunter2" not in fault


@pytest.mark.parametrize("url", ["phone.example.com", "wss://phone.example.com", "https://", "https://a?b", "x"])
def test_a_public_url_is_one(url: str) -> None:
    with pytest.raises(ConfigError, match="SWITCHBOARD_PUBLIC_URL: must be an address"):
        load_settings(None, public_url=url)
    assert load_settings(None, public_url="https://phone.example.com/").public_url == "https://phone.example.com"


@pytest.mark.parametrize("key", ["x", "eHg=", "%"])
def test_a_public_key_is_one(key: str) -> None:
    with pytest.raises(ConfigError, match="SWITCHBOARD_TELNYX_PUBLIC_KEY: must be the key"):
        load_settings(None, telnyx_public_key=key)


def test_telnyx_needs_a_secret_of_the_server() -> None:
    key = base64.b64encode(bytes(32)).decode()
    with pytest.raises(ConfigError, match="SWITCHBOARD_TELNYX_PUBLIC_KEY: needs a token"):
        require_relay_secret(load_settings(None, telnyx_public_key=key))
    require_relay_secret(load_settings(None, telnyx_public_key=key, api_tokens=("t",)))
    require_relay_secret(load_settings(None))
