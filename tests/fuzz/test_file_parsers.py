"""Whatever is in a file or a variable: it is read, or the error is a ConfigError that says where."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from api.console.hidden_values import hide, restore
from api.console.models_file import ModelsFile
from config.database_url import is_database_url
from config.errors import ConfigError
from config.parsing.urls import http_url
from config.profile.agent_file import AgentProfile, load_agent
from config.settings import Settings, load_environment, load_settings
from tests.support.properties import TEXT, few, json_objects

AGENT_KEYS = (
    "system_prompt system_prompt_mode tools transfer_destinations number name description function_call_object "
    "max_steps reasoning_content mcp_servers url command args headers timeout allow review trim max_tokens "
    "max_messages summarize memory long_term recall embedding_model chat start_message parameters type properties "
    "method os.environ/A"
)
YAML_TEXT = st.text(alphabet="ab:-[]{}&*!<>|#'\"?,%@ \n\t~0.", max_size=60)


@few
@given(json_objects(AGENT_KEYS))
def test_any_agent_file_is_an_agent_or_a_config_error(tmp_path: Path, value: dict[str, Any]) -> None:
    file = tmp_path / "agent.yaml"
    file.write_text(yaml.safe_dump({"system_prompt": "Be kind.", **value}, allow_unicode=True), encoding="utf-8")
    try:
        assert isinstance(load_agent(file, environ={}), AgentProfile)
    except ConfigError as error:
        assert error.problems


@few
@given(YAML_TEXT | st.binary(max_size=40))
def test_any_text_is_no_agent_file_or_a_config_error(tmp_path: Path, text: str | bytes) -> None:
    file = tmp_path / "agent.yaml"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(ConfigError):
        load_agent(file, environ={})


@few
@given(st.dictionaries(st.sampled_from(sorted(Settings.model_fields)), TEXT.filter(lambda each: "\0" not in each)))
def test_any_environment_is_settings_or_a_config_error_that_quotes_no_value(values: dict[str, str]) -> None:
    variables = {f"SWITCHBOARD_{name.upper()}": value for name, value in values.items()}
    with patch.dict(os.environ, variables):
        try:
            assert isinstance(load_settings(None), Settings)
        except ConfigError as error:
            assert all(each.key and each.key.startswith("SWITCHBOARD_") for each in error.problems)
            assert "9" * 5000 not in str(error)


@few
@given(st.text(max_size=60) | st.binary(max_size=60))
def test_any_env_file_is_variables_or_a_config_error(tmp_path: Path, text: str | bytes) -> None:
    file = tmp_path / ".env"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    try:
        assert all(load_environment(file).values())
    except ConfigError as error:
        assert error.problems


@few
@given(TEXT | st.builds("{}://{}".format, st.sampled_from(["sqlite", "postgresql", "http", "https", ""]), TEXT))
def test_any_address_is_one_or_is_refused(address: str) -> None:
    is_database_url(address)
    try:
        assert http_url(address)
    except ValueError:
        pass


SECRETS = st.sampled_from(["api_key: SECRET", "# token: SECRET", '"password": "SECRET"', "headers: {cookie: SECRET}"])


@few
@given(st.lists(YAML_TEXT | SECRETS, max_size=6).map("\n".join))
def test_hidden_values_come_back_wherever_they_are(text: str) -> None:
    assert restore(hide(text), text) == text


@few
@given(YAML_TEXT, json_objects("model_list model_name litellm_params model api_key router_settings fallbacks"))
def test_the_console_lists_the_problems_of_any_edited_text(tmp_path: Path, text: str, value: dict[str, Any]) -> None:
    file = ModelsFile(tmp_path / "models.yaml", editable=True)
    for edited in (text, yaml.safe_dump(value)):
        assert all(each["severity"] in ("error", "warning") for each in file.check(edited))
