"""The shipped files are valid: models.yaml, agent.yaml, the JSON schema and .env.example."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from dotenv import dotenv_values
from hypothesis import given, settings
from hypothesis import strategies as st

from config.models import litellm_keys
from config.models.entry_schema import LiteLLMParams
from config.models.models_file import check_models, load_models
from config.models.provider_keys import KEY_VARIABLES
from config.models.schema import (
    GeneralSection,
    LiteLLMSection,
    ModelsFile,
    RouterSection,
    UnsupportedStrategy,
    models_schema,
    schema_text,
)
from config.parsing.sections import Section
from config.profile.agent_file import DEFAULT_AGENT_FILE, Destination, agent_path, load_agent
from config.settings import load_settings

ROOT = Path(__file__).parents[3]
MODELS = ROOT / "models.yaml"
VALIDATOR = jsonschema.Draft202012Validator(models_schema())
KEYS = {
    name: "http://base" if name.endswith("_BASE") else "key"
    for name in dotenv_values(ROOT / ".env.example")
    if not name.startswith("SWITCHBOARD_")
}


def test_without_any_key_the_default_model_is_the_fake_one() -> None:
    registry = load_models(MODELS, {})
    assert registry.warnings == ()
    assert registry.default_group() == "fake"
    assert registry.names() == ("fake", "fake-paced")


def test_every_variable_of_the_example_makes_every_deployment_ready() -> None:
    registry = load_models(MODELS, KEYS)
    assert [each.missing for each in registry.deployments if each.missing] == []
    assert registry.default_group() == "assistant"
    providers = {each.model.partition("/")[0] for each in registry.usable("assistant")}
    assert providers == {"openai", "anthropic"}


@pytest.mark.parametrize("name", sorted(KEYS))
def test_each_variable_of_the_example_is_used(name: str) -> None:
    missing = {name for each in load_models(MODELS, {}).deployments for name in each.missing}
    assert name in missing


def test_no_group_of_real_models_falls_back_to_a_fake_one() -> None:
    registry = load_models(MODELS, {})
    assert registry.settings.fallbacks
    for targets in registry.settings.fallbacks.values():
        assert not any(target.startswith("fake") for target in targets)


def test_the_shipped_agent_file_matches_the_defaults() -> None:
    profile = load_agent(DEFAULT_AGENT_FILE)
    assert profile.tools == ("transferCall", "endCall")
    assert [each.number for each in profile.transfer_destinations] == ["+1234567890"]
    assert (profile.system_prompt_mode, profile.function_call_object, profile.max_steps) == ("replace", True, 10)
    assert not profile.reasoning_content
    assert "transferCall" in profile.system_prompt and "中文" in profile.system_prompt
    assert isinstance(profile.transfer_destinations[0], Destination)


def test_the_shipped_assistant_shows_what_sessions_can_do() -> None:
    profile = load_agent(agent_path(Path("assistant")))
    assert profile.source == DEFAULT_AGENT_FILE.with_name("assistant.yaml")
    assert (profile.tools, profile.review) == (("book_hotel", "multiply"), ("book_hotel",))
    assert profile.memory.long_term
    assert [each.name for each in profile.mcp_servers] == ["weather"]


def test_a_shipped_profile_is_found_from_any_folder_unless_there_is_such_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shipped = DEFAULT_AGENT_FILE.with_name("assistant.yaml")
    for name in ("assistant", "config/assistant.yaml"):
        assert load_settings(env_file=None, agent_file=Path(name)).agent_file == shipped
    monkeypatch.setenv("SWITCHBOARD_AGENT_FILE", "assistant")
    assert load_settings(env_file=None).agent_file == shipped
    assert agent_path(Path("other.yaml")) == Path("other.yaml")
    (tmp_path / "assistant").write_text("system_prompt: mine")
    assert agent_path(Path("assistant")) == Path("assistant")


# The schema


def test_the_schema_in_docs_is_the_one_that_is_printed() -> None:
    shipped = (ROOT / "docs/models.schema.json").read_text("utf-8")
    assert shipped == schema_text(), "run: .venv/bin/switchboard check --schema > docs/models.schema.json"
    jsonschema.Draft202012Validator.check_schema(json.loads(shipped))
    first_line = MODELS.read_text("utf-8").splitlines()[0]
    assert first_line == "# yaml-language-server: $schema=docs/models.schema.json"


def test_the_schema_accepts_the_shipped_file() -> None:
    VALIDATOR.validate(yaml.safe_load(MODELS.read_text("utf-8").replace("2024-10-21", '"2024-10-21"')))


def entry(**params: Any) -> dict[str, Any]:
    return {"model_list": [{"model_name": "a", "litellm_params": {"model": "fake/echo", **params}}]}


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"model_list": []},
        {"model_list": [{"model_name": "a"}]},
        entry(temprature=1),
        entry(rpm="soon"),
        entry(rpm=-1),
        entry(turn_deadline=0),
        entry(extra_headers=["a"]),
        entry(on_cut="stop"),
        entry(api_bse="x"),
        entry(api_base="localhost:8000/v1"),
        entry() | {"router_setting": {}},
        entry() | {"router_settings": {"hedge_budget": 2}},
        entry() | {"router_settings": {"fallbacks": {"a": ["b"]}}},
        entry() | {"include": ["other.yaml"]},
        entry() | {"general_setting": {}},
    ],
)
def test_the_schema_refuses_what_the_check_refuses(tmp_path: Path, value: Any) -> None:
    assert not VALIDATOR.is_valid(value)
    assert not accepted(tmp_path, value)


@pytest.mark.parametrize(
    "value",
    [
        entry(rpm="os.environ/RPM", drop_params="os.environ/DROP", top_k=3, input_cost_per_token=1, tags=["x"]),
        entry(rpm="60", timeout="1.5", extra_body={"any": [1]}, stop=["\n"]),
        entry() | {"router_settings": {"model_group_alias": {"b": "a", "c": {"model": "a", "hidden": True}}}},
        entry() | {"router_settings": None, "litellm_settings": {"cache": True}, "guardrails": [1]},
        entry() | {"general_settings": {"master_key": "x", "default_model": "a"}},
    ],
)
def test_the_schema_accepts_what_the_check_accepts(tmp_path: Path, value: Any) -> None:
    assert accepted(tmp_path, value)
    VALIDATOR.validate(value)


def accepted(tmp_path: Path, value: Any) -> bool:
    file = tmp_path / "models.yaml"
    file.write_text(yaml.safe_dump(value))
    return not check_models(file, {"RPM": "1", "DROP": "true"})[1]


VALUES = st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from(["a", "b", "1", "os.environ/RPM", "", []])


@settings(max_examples=200, deadline=None)
@given(
    params=st.dictionaries(st.sampled_from(sorted(LiteLLMParams.model_fields)), VALUES, max_size=3),
    router=st.dictionaries(st.sampled_from(["num_retries", "timeout", "on_cut", "fallbacks", "debug_level"]), VALUES),
)
def test_the_check_accepts_what_the_schema_accepts(
    tmp_path_factory: pytest.TempPathFactory, params: dict[str, Any], router: dict[str, Any]
) -> None:
    value = entry(**params) | {"router_settings": router}
    named = {"litellm_credential_name", "model", "custom_llm_provider", "fallbacks"}  # no schema knows the names
    named |= {name for name in ("api_base", "base_url") if params.get(name) == "os.environ/RPM"}  # nor what they hold
    if not named & params.keys() and VALIDATOR.is_valid(value):
        assert accepted(tmp_path_factory.mktemp("schema"), value)


# LiteLLM's names


@pytest.mark.parametrize("section", [LiteLLMParams, RouterSection, LiteLLMSection, GeneralSection, ModelsFile])
def test_no_supported_key_is_ignored(section: type[Section]) -> None:
    assert not [key for key in section.model_fields if section.is_ignored(key)]


def test_no_name_that_litellm_reads_is_unknown_here() -> None:
    import inspect
    from typing import get_args

    import litellm
    from litellm.constants import OPENAI_CHAT_COMPLETION_PARAMS
    from litellm.proxy._types import ConfigGeneralSettings
    from litellm.router import Router
    from litellm.types.litellm_params import RoutingStrategyName
    from litellm.types.router import LiteLLM_Params

    def known(section: type[Section]) -> set[str]:
        return set(section.model_fields) | section.ignored

    internal = {"messages", "functions", "function_call", "deployment_id", "shared_session", "kwargs"}
    params = {*inspect.signature(litellm.completion).parameters, *OPENAI_CHAT_COMPLETION_PARAMS}
    params |= set(LiteLLM_Params.model_fields)
    unknown = params - known(LiteLLMParams) - internal
    assert {name for name in unknown if not name.startswith("_") and "cost" not in name} == set()

    router = set(inspect.signature(Router.__init__).parameters) - {"self", "model_list"}
    assert router - known(RouterSection) == set()
    assert set(ConfigGeneralSettings.model_fields) - known(GeneralSection) == set()
    assert {name for name in known(LiteLLMSection) if name.startswith("_")} == set()
    assert set(get_args(RoutingStrategyName)) <= {
        *get_args(UnsupportedStrategy),
        *get_args(get_args(RouterSection.model_fields["routing_strategy"].annotation)[0]),
    }


def test_the_providers_key_variables_are_those_that_litellm_asks_for(monkeypatch: pytest.MonkeyPatch) -> None:
    import litellm

    for names in KEY_VARIABLES.values():
        for name in names:
            monkeypatch.delenv(name, raising=False)
    for provider, names in KEY_VARIABLES.items():
        asked = litellm.validate_environment(f"{provider}/some-model", api_base="x", api_version="x")
        assert names[0] in asked["missing_keys"], provider


def test_the_shipped_models_are_known_to_litellm() -> None:
    import litellm

    local = {"ollama_chat", "hosted_vllm", "fake", "azure", "openrouter"}
    for each in load_models(MODELS, KEYS).deployments:
        provider, _, model = each.model.partition("/")
        if provider not in local and "*" not in model:
            assert {each.model, model} & set(litellm.model_cost), each.model


def test_no_forwarded_key_is_ignored() -> None:
    assert not litellm_keys.DEPLOYMENT_FORWARDED & litellm_keys.DEPLOYMENT_IGNORED
