"""models.yaml: valid files and the problems of invalid ones."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from config.errors import ConfigError
from config.models.deployments import Registry, Timeouts
from config.models.models_file import check_models, load_models


def write(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "models.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def load(tmp_path: Path, text: str, **environ: str) -> Registry:
    return load_models(write(tmp_path, text), environ)


def faults(tmp_path: Path, text: str) -> list[tuple[int | None, str | None, str]]:
    with pytest.raises(ConfigError) as raised:
        load(tmp_path, text)
    assert {problem.file for problem in raised.value.problems} == {tmp_path / "models.yaml"}
    return [(problem.line, problem.key, problem.message) for problem in raised.value.problems]


FAST_AND_SLOW = """\
model_list:
  - model_name: fast
    litellm_params: {model: fake/echo}
  - model_name: slow
    litellm_params: {model: fake/503}
"""


# Valid files


def test_entries_with_one_name_form_a_group_and_keep_their_own_parameters(tmp_path: Path) -> None:
    registry = load(
        tmp_path,
        """\
model_list:
  - model_name: fast
    litellm_params:
      model: openai/gpt-4.1-mini
      api_key: os.environ/MY_KEY
      api_base: https://llm.example/v1
      weight: 3
      order: 1
      rpm: os.environ/RPM
      tpm: 100000
      temperature: 0.2
      max_tokens: 200
      extra_headers: {x-team: voice}
      top_k: 5
  - model_name: fast
    litellm_params: {model: openai/gpt-4.1-mini, api_key: other}
    model_info: {supports_assistant_prefill: true, owner: me}
""",
        MY_KEY="sk-1",
        RPM="60",
    )
    first, second = registry.usable("fast")
    assert first.api_key is not None and first.api_key.get_secret_value() == "sk-1"
    assert (first.api_base, first.weight, first.order, first.rpm, first.tpm) == (
        "https://llm.example/v1",
        3.0,
        1,
        60,
        100000,
    )
    assert first.params == {"temperature": 0.2, "max_tokens": 200, "extra_headers": {"x-team": "voice"}, "top_k": 5}
    assert (first.id, second.id) == ("fast/openai-gpt-4.1-mini", "fast/openai-gpt-4.1-mini#2")
    assert (first.line, second.line) == (2, 15)
    assert second.info == {"supports_assistant_prefill": True, "owner": "me"}
    assert registry.warnings == ()


def test_an_id_of_the_file_is_used_and_never_given_twice(tmp_path: Path) -> None:
    registry = load(
        tmp_path,
        """\
model_list:
  - {model_name: a, litellm_params: {model: "fake/echo?first=1s"}}
  - {model_name: b, litellm_params: {model: fake/echo}, model_info: {id: a/fake-echo}}
  - {model_name: 快, litellm_params: {model: fake/echo}, model_info: {id: 7}}
  - {model_name: 快, litellm_params: {model: fake/echo}}
""",
    )
    ids = [each.id for each in registry.deployments]
    assert ids == ["a/fake-echo#2", "a/fake-echo", "7", "%E5%BF%AB/fake-echo"]


def test_a_variable_that_is_not_set_leaves_the_deployment_out_and_is_no_error(tmp_path: Path) -> None:
    registry = load(
        tmp_path,
        """\
model_list:
  - {model_name: a, litellm_params: {model: openai/o3, api_key: os.environ/A_KEY, organization: os.environ/A_ORG}}
  - {model_name: b, litellm_params: {model: os.environ/B_MODEL}}
  - {model_name: c, litellm_params: {model: fake/echo}}
""",
        A_KEY="",
    )
    assert [each.missing for each in registry.deployments] == [("A_KEY", "A_ORG"), ("B_MODEL",), ()]
    assert registry.default_group() == "c"
    assert registry.warnings == ()


def test_the_providers_usual_variable_serves_an_entry_without_a_key(tmp_path: Path) -> None:
    text = """\
model_list:
  - {model_name: a, litellm_params: {model: gemini/gemini-2.5-flash}}
  - {model_name: b, litellm_params: {model: azure/mine}}
  - {model_name: c, litellm_params: {model: gpt-4.1, api_key: ""}}
  - {model_name: d, litellm_params: {model: hosted_vllm/x, api_base: "http://127.0.0.1:1/v1"}}
  - {model_name: e, litellm_params: {model: azure/mine, azure_ad_token: t, api_base: "https://a.example"}}
"""
    without = load(tmp_path, text)
    assert [each.missing for each in without.deployments] == [
        ("GEMINI_API_KEY",),
        ("AZURE_API_KEY", "AZURE_API_BASE"),
        ("OPENAI_API_KEY",),
        (),
        (),
    ]
    filled = load(tmp_path, text, GOOGLE_API_KEY="g", AZURE_API_KEY="z", AZURE_API_BASE="https://z", OPENAI_API_KEY="o")
    assert [each.missing for each in filled.deployments] == [()] * 5
    assert [each.api_key.get_secret_value() if each.api_key else None for each in filled.deployments[:3]] == list("gzo")
    assert filled.deployments[1].api_base == "https://z"


def test_the_files_own_variables_and_credentials_are_filled_in(tmp_path: Path) -> None:
    registry = load(
        tmp_path,
        """\
environment_variables: {HERE: from-file, BOTH: from-file}
credential_list:
  - credential_name: shared
    credential_values: {api_key: os.environ/BOTH, api_base: https://shared.example}
model_list:
  - {model_name: a, litellm_params: {model: openai/x, api_key: os.environ/HERE}}
  - {model_name: b, litellm_params: {model: openai/x, litellm_credential_name: shared, api_base: https://own.example}}
""",
        BOTH="from-environment",
    )
    a, b = registry.deployments
    assert a.api_key is not None and a.api_key.get_secret_value() == "from-file"
    assert b.api_key is not None and b.api_key.get_secret_value() == "from-environment"
    assert (b.api_base, dict(b.params)) == ("https://own.example", {})


def test_our_limits_win_over_litellms_names_and_an_entry_over_the_router(tmp_path: Path) -> None:
    registry = load(
        tmp_path,
        """\
model_list:
  - {model_name: a, litellm_params: {model: fake/echo}}
  - {model_name: b, litellm_params: {model: fake/echo, stream_timeout: 2, stall_timeout: 9}}
router_settings: {timeout: 50, turn_deadline: 20}
litellm_settings: {stream_timeout: 4, request_timeout: 600}
""",
    )
    assert registry.settings.timeouts == Timeouts(turn_deadline=20, first_token_timeout=4, stall_timeout=5)
    assert [each.timeouts for each in registry.deployments] == [Timeouts(20, 4, 5), Timeouts(20, 2, 9)]


def test_router_settings_win_over_litellm_settings(tmp_path: Path) -> None:
    routing = load(
        tmp_path,
        FAST_AND_SLOW
        + """\
router_settings:
  routing_strategy: least-busy
  num_retries: 0
  fallbacks: [{fast: [slow]}, {fast: [fast]}]
  model_group_alias: {gpt-4: slow, secret: {model: fast, hidden: true}}
  on_cut: error
  hedge_after: 1.5
  hedge_budget: 0.2
  health_check_interval: 30
  retry_after: 1
litellm_settings:
  num_retries: 7
  allowed_fails: 1
  cooldown_time: 60
  default_fallbacks: [slow]
  context_window_fallbacks: [{fast: [slow]}]
  content_policy_fallbacks: [{"*": [slow]}]
  drop_params: true
general_settings: {completion_model: slow}
""",
    )
    said = routing.settings
    assert (said.routing_strategy, said.num_retries, said.allowed_fails, said.cooldown_time) == ("least-busy", 0, 1, 60)
    assert said.fallbacks == {"fast": ("slow",)} and said.default_fallbacks == ("slow",)
    assert said.context_window_fallbacks == {"fast": ("slow",)} and said.content_policy_fallbacks == {"*": ("slow",)}
    assert (said.drop_params, said.on_cut, said.hedge_after, said.hedge_budget) == (True, "error", 1.5, 0.2)
    assert (said.health_check_interval, said.retry_after) == (30, 1)
    assert routing.names() == ("fast", "slow", "gpt-4")
    assert (routing.resolve("secret"), routing.default_group()) == ("fast", "slow")


def test_wildcards_and_anchors_work_as_in_litellm(tmp_path: Path) -> None:
    registry = load(
        tmp_path,
        """\
model_list:
  - model_name: openai/*
    litellm_params: &shared {model: openai/*, api_key: k, temperature: 1}
  - model_name: "*"
    litellm_params:
      <<: *shared
      model: openrouter/*
router_settings: {fallbacks: [{openai/gpt-4.1: [anything]}]}
""",
    )
    assert registry.resolve("openai/gpt-4.1") == "openai/*"
    assert registry.resolve("anything") == "*"
    assert [each.params for each in registry.deployments] == [{"temperature": 1}] * 2
    assert [each.model for each in registry.deployments] == ["openai/*", "openrouter/*"]
    assert registry.deployments[0].for_model("openai/gpt-4.1").model == "openai/gpt-4.1"


def test_a_date_and_a_key_read_as_the_text_they_are(tmp_path: Path) -> None:
    params = (
        load(tmp_path, "model_list: [{model_name: a, litellm_params: {model: fake/echo, api_version: 2024-10-21}}]")
        .deployments[0]
        .params
    )
    assert params == {"api_version": "2024-10-21"}


def test_secrets_do_not_show_in_a_printed_deployment(tmp_path: Path) -> None:
    registry = load(
        tmp_path,
        "model_list: [{model_name: a, litellm_params: "
        "{model: openai/x, api_key: hush, aws_secret_access_key: hush, extra_headers: {authorization: hush}}}]",
    )
    assert "hush" not in repr(registry)


# A LiteLLM proxy's configuration


PROXY_CONFIG = """\
environment_variables: {REDIS_HOST: localhost}
model_list:
  - model_name: gpt-4o
    litellm_params:
      model: azure/my-deployment
      api_base: os.environ/AZURE_API_BASE
      api_key: os.environ/AZURE_API_KEY
      api_version: "2025-01-01-preview"
      rpm: 6
      max_parallel_requests: 10
      tags: [paid]
      langfuse_secret: os.environ/LANGFUSE_SECRET
      input_cost_per_token: 0.000421
    model_info: {id: azure-eu, mode: chat, base_model: azure/gpt-4o, access_groups: [beta]}
  - model_name: gpt-4o
    litellm_params: {model: openai/gpt-4o, api_key: os.environ/OPENAI_API_KEY, stream_timeout: 20, max_retries: 2}
  - model_name: claude
    litellm_params: {model: bedrock/anthropic.claude-sonnet-4-5, aws_region_name: us-east-1, thinking: {type: disabled}}
  - model_name: "*"
    litellm_params: {model: "*"}
litellm_settings:
  num_retries: 3
  request_timeout: 20
  fallbacks: [{gpt-4o: [claude]}]
  context_window_fallbacks: [{"gpt-4o": ["claude"]}]
  drop_params: true
  set_verbose: false
  success_callback: [langfuse]
  service_callbacks: [datadog]
  cache: true
  cache_params: {type: redis, host: os.environ/REDIS_HOST, password: os.environ/REDIS_PASSWORD}
router_settings:
  routing_strategy: simple-shuffle
  redis_host: os.environ/REDIS_HOST
  redis_password: os.environ/REDIS_PASSWORD
  enable_pre_call_checks: true
  retry_policy: {TimeoutErrorRetries: 3}
  model_group_alias: {gpt-4: gpt-4o}
general_settings:
  master_key: os.environ/LITELLM_MASTER_KEY
  database_url: os.environ/DATABASE_URL
  store_model_in_db: true
  alerting: [slack]
  health_check_interval: 300
guardrails:
  - {guardrail_name: pii, litellm_params: {guardrail: presidio, mode: pre_call}}
callback_settings: {otel: {message_logging: false}}
"""


def test_a_litellm_proxy_config_works_unchanged_with_a_warning_that_lists_the_ignored_keys(tmp_path: Path) -> None:
    registry = load(tmp_path, PROXY_CONFIG, OPENAI_API_KEY="k")
    assert registry.settings.fallbacks == {"gpt-4o": ("claude",)}
    assert registry.resolve("anything") == "*"
    assert [each.missing for each in registry.deployments] == [("AZURE_API_BASE", "AZURE_API_KEY"), (), (), ()]
    assert registry.deployments[0].info["input_cost_per_token"] == 0.000421
    assert "input_cost_per_token" not in registry.deployments[0].params
    master_key, warning = registry.warnings
    assert warning.partition(": ")[2].split(", ") == [
        "callback_settings",
        "general_settings.alerting",
        "general_settings.database_url",
        "general_settings.health_check_interval",
        "general_settings.store_model_in_db",
        "guardrails",
        "litellm_params.langfuse_secret",
        "litellm_params.max_parallel_requests",
        "litellm_params.max_retries",
        "litellm_params.tags",
        "litellm_settings.cache",
        "litellm_settings.cache_params",
        "litellm_settings.service_callbacks",
        "litellm_settings.set_verbose",
        "litellm_settings.success_callback",
        "router_settings.enable_pre_call_checks",
        "router_settings.redis_host",
        "router_settings.redis_password",
    ]
    assert registry.settings.retry_policy == {"TimeoutError": 3}
    assert master_key.startswith("general_settings.master_key is ignored: ") and "SWITCHBOARD_API_TOKENS" in master_key


def test_unset_and_unsupported_settings_are_warnings(tmp_path: Path) -> None:
    registry = load(
        tmp_path,
        FAST_AND_SLOW
        + """\
  - {model_name: pictures, litellm_params: {model: voyage/e, api_key: k}, model_info: {mode: image_generation}}
router_settings: {routing_strategy: usage-based-routing-v2, num_retries: os.environ/RETRIES}
""",
    )
    assert registry.settings.routing_strategy == "simple-shuffle" and registry.settings.num_retries == 2
    assert registry.names() == ("fast", "slow")
    unset, strategy, silent = registry.warnings
    assert "router_settings.num_retries" in unset and "RETRIES" in unset
    assert "usage-based-routing-v2" in strategy and "simple-shuffle" in strategy
    assert "pictures/voyage-e" in silent


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        (
            "router_settings:\n  num_retrys: 2\n",
            "7: router_settings.num_retrys: unknown key, ignored; did you mean 'num_retries'?",
        ),
        ("litellm_settings: {cahce: 1}\n", "6: litellm_settings.cahce: unknown key, ignored; did you mean 'cache'?"),
        ("general_settings:\n  x: 1\n", "7: general_settings.x: unknown key, ignored"),
        ("router_settings:\n  retry_policy:\n    a: 1\n", "8: router_settings.retry_policy.a: unknown key, ignored"),
        ("teams: []\n", "6: teams: unknown key, ignored"),
    ],
)
def test_an_unknown_key_outside_of_litellm_params_is_a_warning(tmp_path: Path, text: str, warning: str) -> None:
    assert load(tmp_path, FAST_AND_SLOW + text).warnings == (f"{tmp_path / 'models.yaml'}:{warning}",)


def test_unknown_litellm_params_are_sent_to_the_provider_with_one_warning(tmp_path: Path) -> None:
    registry = load(
        tmp_path,
        """\
model_list:
  - {model_name: a, litellm_params: {model: ollama_chat/x, num_gpu: 1, min_tokens: 2, num_thread: os.environ/THREADS}}
  - {model_name: b, litellm_params: {model: bedrock/x, guardrailConfig: {trace: off}, min_tokens: os.environ/UNSET}}
""",
        THREADS="4",
    )
    assert [dict(each.params) for each in registry.deployments] == [
        {"num_gpu": 1, "min_tokens": 2, "num_thread": "4"},
        {"guardrailConfig": {"trace": False}},
    ]
    assert [each.missing for each in registry.deployments] == [(), ("UNSET",)]
    assert registry.warnings == (
        "these litellm_params are unknown and are sent to the provider unchanged: "
        "guardrailConfig, min_tokens, num_gpu, num_thread",
    )


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ("model: openai/gpt-4.1-mni", "LiteLLM does not list this model of openai; did you mean 'gpt-4.1-mini'?"),
        (
            "model: mistral/mistral-smal-latest",
            "LiteLLM does not list this model of mistral; did you mean 'mistral-small-latest'?",
        ),
        ("model: gemini/zzz", "LiteLLM does not list this model of gemini"),
        ("model: gpt-4.1-mini", None),
        ("model: openai/responses/o3", None),
        ("model: 'openai/ft:gpt-4o:me'", None),
        ("model: openai/*", None),
        ('model: openai/mine, api_base: "http://127.0.0.1:1"', None),
        ("model: openai/mine, api_base: os.environ/UNSET", None),
        ("model: azure/mine, api_base: https://a.example", None),
        ("model: openrouter/new/one", None),
        ("model: os.environ/UNSET", None),
    ],
)
def test_a_model_that_litellm_does_not_list_is_a_warning(tmp_path: Path, params: str, message: str | None) -> None:
    text = f"model_list:\n  - {{model_name: a, litellm_params: {{{params}, api_key: k}}}}\n"
    warnings = load(tmp_path, text).warnings
    place = f"{tmp_path / 'models.yaml'}:2: model_list[0].litellm_params.model: {message}"
    assert [each for each in warnings if not each.startswith(place)] == []
    assert len(warnings) == (message is not None)


def test_what_only_a_litellm_proxy_can_serve_is_left_out(tmp_path: Path) -> None:
    registry = load(
        tmp_path,
        FAST_AND_SLOW
        + """\
  - {model_name: auto, litellm_params: {model: auto_router/one, auto_router_config_path: router.json}}
  - {model_name: own, litellm_params: {model: my-llm/x}}
litellm_settings: {custom_provider_map: [{provider: my-llm, custom_handler: handler.my_llm}]}
""",
    )
    assert registry.names() == ("fast", "slow")
    assert registry.warnings[-1] == (
        "left out because only a LiteLLM proxy has their provider: auto/auto_router-one, own/my-llm-x"
    )


def test_groups_may_fall_back_to_each_other(tmp_path: Path) -> None:
    registry = load(
        tmp_path,
        FAST_AND_SLOW
        + """\
  - {model_name: "*", litellm_params: {model: "*"}}
router_settings: {fallbacks: [{fast: [slow]}, {slow: [fast, slow]}, {gpt-4: [gpt-5]}, {gpt-5: [gpt-4]}]}
""",
    )
    assert (registry.fallbacks("fast"), registry.fallbacks("slow")) == (("slow",), ("fast", "slow"))


def test_a_fallback_may_be_the_id_of_a_deployment(tmp_path: Path) -> None:
    registry = load(
        tmp_path,
        """\
model_list:
  - {model_name: a, litellm_params: {model: fake/503}}
  - {model_name: a, litellm_params: {model: fake/echo}, model_info: {id: second}}
  - {model_name: b, litellm_params: {model: fake/503}}
router_settings: {fallbacks: [{b: [second]}]}
""",
    )
    assert registry.resolve("second") == "second"
    assert [each.id for each in registry.usable("second")] == ["second"]
    assert [each.id for each in registry.usable("a")] == ["a/fake-503", "second"]


def test_an_entrys_own_fallbacks_come_first_and_are_no_models_of_their_own(tmp_path: Path) -> None:
    registry = load(
        tmp_path,
        """\
model_list:
  - model_name: main
    litellm_params:
      model: openai/gpt-4.1
      api_key: k
      temperature: 0.5
      fallbacks:
        - spare
        - openai/gpt-4.1-mini
        - {model: azure/mine, api_base: "https://a.example", api_key: os.environ/A_KEY, num_gpu: 1}
  - {model_name: spare, litellm_params: {model: openai/x, api_key: k}}
  - {model_name: last, litellm_params: {model: openai/y, api_key: k}}
router_settings: {default_fallbacks: [last]}
""",
    )
    assert registry.fallbacks("main") == ("spare", "openai/gpt-4.1-mini", "azure/mine", "last")
    assert registry.names() == ("main", "spare", "last")
    (mini,), own = registry.usable("openai/gpt-4.1-mini"), registry.deployments[-1]
    assert mini.api_key is not None and mini.api_key.get_secret_value() == "k"
    assert (mini.params, own.params) == ({"temperature": 0.5}, {"num_gpu": 1})
    assert (own.group, own.api_base, own.missing, own.line) == ("azure/mine", "https://a.example", ("A_KEY",), 10)


def test_a_list_of_organizations_is_one_deployment_for_each(tmp_path: Path) -> None:
    registry = load(
        tmp_path,
        "model_list: [{model_name: a, litellm_params: {model: openai/x, api_key: k, organization: [o1, o2]}}]",
    )
    assert [(each.id, each.params) for each in registry.deployments] == [
        ("a/openai-x", {"organization": "o1"}),
        ("a/openai-x#2", {"organization": "o2"}),
    ]


def test_policies_are_read_by_litellms_class_of_error(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        FAST_AND_SLOW
        + """\
router_settings:
  retry_policy: {RateLimitErrorRetries: 4, DefaultRetries: 1, TimeoutErrorRetries: null}
  allowed_fails_policy: {TimeoutErrorAllowedFails: 9}
""",
    ).settings
    assert settings.retry_policy == {"RateLimitError": 4, "Default": 1}
    assert settings.allowed_fails_policy == {"TimeoutError": 9}


@pytest.mark.parametrize(
    ("model", "base_model", "mode"),
    [
        ("openai/whisper-1", None, "audio_transcription"),
        ("azure/dall-e-3", None, "image_generation"),
        ("azure/mine", "azure/whisper-1", "audio_transcription"),
        ("bedrock/amazon.titan-embed-text-v1", None, "embedding"),
    ],
)
def test_a_model_that_cannot_chat_is_recognised_without_its_mode(
    tmp_path: Path, model: str, base_model: str | None, mode: str
) -> None:
    info = f", model_info: {{base_model: {base_model}}}" if base_model else ""
    registry = load(
        tmp_path,
        f"""\
model_list:
  - {{model_name: other, litellm_params: {{model: {model}, api_key: k, api_base: "http://127.0.0.1:1"}}{info}}}
  - {{model_name: chat, litellm_params: {{model: openai/gpt-4.1, api_key: k}}}}
""",
    )
    assert registry.default_group() == "chat" and registry.names() == ("chat",)
    assert [each.group for each in registry.embeddings] == (["other"] if mode == "embedding" else [])
    assert mode == "embedding" or f"({mode})" in registry.warnings[0]


def test_an_embedding_group_serves_no_chat(tmp_path: Path) -> None:
    registry = load(
        tmp_path,
        """model_list:
  - {model_name: vectors, litellm_params: {model: voyage/e, api_key: k}, model_info: {mode: embedding}}
  - {model_name: fast, litellm_params: {model: voyage/f, api_key: k}}
""",
    )
    assert [each.model for each in registry.embedding("vectors")] == ["voyage/e"]
    assert registry.embedding("fast") == () and registry.warnings == ()
    assert registry.names() == ("fast",) and registry.default_group() == "fast" and registry.resolve("vectors") is None


# Invalid files


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: the file does not exist"):
        load_models(tmp_path / "nowhere.yaml", {})


def test_a_directory_and_a_file_that_is_not_text_are_errors(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_models(tmp_path, {})
    (tmp_path / "models.yaml").write_bytes(b"model_list: \xff")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load_models(tmp_path / "models.yaml", {})


@pytest.mark.parametrize("text", ["", "# only a comment\n", "---\n", "~"])
def test_an_empty_file_is_said_to_be_empty(tmp_path: Path, text: str) -> None:
    assert [message for _, _, message in faults(tmp_path, text)] == ["the file is empty"]


@pytest.mark.parametrize(
    ("text", "line", "key", "message"),
    [
        ("model_list: [\n", 2, None, "invalid YAML: "),
        ("model_list:\n\t- a\n", 2, None, "invalid YAML: "),
        ("a: 1\n---\nb: 2\n", 2, None, "invalid YAML: "),
        ("a: \x00\n", 1, None, "invalid YAML: "),
        ("[" * 5000, None, None, "nested too deeply"),
        ("just text", 1, None, "must be a mapping"),
        ("router_settings: {}\n", 1, "model_list", "this key is required"),
        ("model_list:\n", 1, "model_list", "must be a list of deployments"),
        ("model_list: {a: b}\n", 1, "model_list", "must be a list of deployments"),
        ("model_list: []\n", 1, "model_list", "must contain at least one deployment"),
        ("model_list: &a [*a]\n", 1, "model_list[0]", "the value contains itself"),
        (FAST_AND_SLOW + "include: [b.yaml]\n", 6, "include", "including other files is not supported"),
        (FAST_AND_SLOW + "model_list: []\n", 6, "model_list", "duplicate key; first used in line 1"),
        (FAST_AND_SLOW + "1: x\n", 6, None, "the key '1' must be text; put it in quotes"),
        (FAST_AND_SLOW + "router_settings: !!python/name:os.system ''\n", 6, "router_settings", "is not supported"),
        (FAST_AND_SLOW + "router_setting: {}\n", 6, "router_setting", "did you mean 'router_settings'?"),
        (
            FAST_AND_SLOW.replace("fake/503", "openia/gpt-4.1-mini"),
            5,
            "model_list[1].litellm_params.model",
            "LiteLLM has no provider 'openia'; did you mean 'openai'?",
        ),
        (
            FAST_AND_SLOW.replace("fake/503}", "openai/x, custom_llm_provider: opnai}"),
            5,
            "model_list[1].litellm_params.model",
            "LiteLLM has no provider 'opnai'; did you mean 'openai'?",
        ),
        (
            FAST_AND_SLOW.replace("fake/503", "gpt-4.1-mni"),
            5,
            "model_list[1].litellm_params.model",
            "the provider is missing: write provider/model, such as openai/gpt-4.1-mni; did you mean 'gpt-4.1-mini'?",
        ),
        (
            FAST_AND_SLOW.replace("fake/503", "fake/echoo"),
            5,
            "model_list[1].litellm_params.model",
            "there is no fake model 'echoo'; did you mean 'fake/echo'?",
        ),
        (
            FAST_AND_SLOW.replace("fake/503}", "openai/o3, api_key: os.environ.OPENAI_API_KEY}"),
            5,
            "model_list[1].litellm_params.api_key",
            "a reference to the environment has a slash: os.environ/OPENAI_API_KEY",
        ),
        (
            FAST_AND_SLOW.replace("fake/503", """'os.environ["MODEL"]'"""),
            5,
            "model_list[1].litellm_params.model",
            "a reference to the environment has a slash: os.environ/MODEL",
        ),
        (
            FAST_AND_SLOW.replace("fake/503}", "fake/503, fallbacks: [{model: openia/o3}]}"),
            5,
            "model_list[2].litellm_params.model",
            "LiteLLM has no provider 'openia'; did you mean 'openai'?",
        ),
        (
            FAST_AND_SLOW.replace("fake/503}", "fake/503, api_bse: x}"),
            5,
            "model_list[1].litellm_params.api_bse",
            "unknown key; did you mean 'api_base'?",
        ),
        (
            FAST_AND_SLOW.replace("fake/503}", "fake/503, fallbacks: [{slow: [fast]}]}"),
            5,
            "model_list[1].litellm_params.fallbacks[0]",
            "must be a model name, or a mapping with `model`",
        ),
        (
            FAST_AND_SLOW + "router_settings: {routing_strategy: fastest}\n",
            6,
            "router_settings.routing_strategy",
            "must be 'simple-shuffle', 'least-busy'",
        ),
        (
            FAST_AND_SLOW + "router_settings:\n  timeout: soon\n",
            7,
            "router_settings.timeout",
            "must be a number, not text",
        ),
        (
            FAST_AND_SLOW + "router_settings:\n  turn_deadline: 0\n",
            7,
            "router_settings.turn_deadline",
            "must be greater than 0",
        ),
        (
            FAST_AND_SLOW + "router_settings:\n  timeout: .inf\n",
            7,
            "router_settings.timeout",
            "finite number",
        ),
        (FAST_AND_SLOW + "router_settings:\n  num_retries: yes\n", 7, "router_settings.num_retries", "true or false"),
        (
            FAST_AND_SLOW + "router_settings:\n  fallbacks: {fast: [slow]}\n",
            7,
            "router_settings.fallbacks",
            "must be a list, not a mapping",
        ),
        (
            FAST_AND_SLOW + "router_settings:\n  fallbacks:\n    - fast:\n",
            8,
            "router_settings.fallbacks[0].fast",
            "must be a list, but is empty",
        ),
        (FAST_AND_SLOW + "router_settings: {num_retries: 1.5}\n", 6, "router_settings.num_retries", "a whole number"),
        (
            FAST_AND_SLOW + "router_settings: {num_retries: !!int many}\n",
            6,
            "router_settings.num_retries",
            "not a valid int; put it in quotes if it is text",
        ),
        (
            FAST_AND_SLOW + "router_settings:\n  fallbacks:\n    - fast: [slwo]\n",
            8,
            "router_settings.fallbacks[0].fast[0]",
            "no group, alias or wildcard matches 'slwo'; did you mean 'slow'?",
        ),
        (
            FAST_AND_SLOW + "litellm_settings:\n  fallbacks:\n    - fats: [slow]\n",
            8,
            "litellm_settings.fallbacks[0].fats",
            "no group, alias or wildcard matches 'fats'; did you mean 'fast'?",
        ),
        (
            FAST_AND_SLOW + "router_settings: {default_fallbacks: [none]}\n",
            6,
            "router_settings.default_fallbacks[0]",
            "matches 'none'",
        ),
        (
            FAST_AND_SLOW + "router_settings:\n  model_group_alias:\n    a: nothing\n",
            8,
            "router_settings.model_group_alias.a",
            "matches 'nothing'",
        ),
        (
            FAST_AND_SLOW + "router_settings:\n  model_group_alias:\n    a: fast\n    b: a\n",
            9,
            "router_settings.model_group_alias.b",
            "'a' is an alias; use the name",
        ),
        (
            FAST_AND_SLOW + "general_settings:\n  default_model: fst\n",
            7,
            "general_settings.default_model",
            "did you mean 'fast'?",
        ),
    ],
)
def test_each_fault_is_named_with_its_place(
    tmp_path: Path, text: str, line: int | None, key: str | None, message: str
) -> None:
    ((found_line, found_key, found_message),) = faults(tmp_path, text)
    assert (found_line, found_key) == (line, key)
    assert message in found_message


def test_faults_inside_an_entry_name_the_key_path_and_never_the_value(tmp_path: Path) -> None:
    found = faults(
        tmp_path,
        """\
model_list:
  - model_name: a
    litellm_params:
      model: fake/echo
      rpm: sk-secret
      temprature: 1
      model: fake/503
  - model_name: 5
    litellm_params: {api_key: [sk-secret], model: fake/echo}
  - litellm_params: {model: fake/echo}
  - model_name: b
    litellm_params: {model: fake/echo, litellm_credential_name: lost}
    model_info: {id: one}
  - {model_name: b, litellm_params: {model: fake/echo}, model_info: {id: one}}
router_settings: {fallbacks: [{a: [b, c]}]}
""",
    )
    assert sorted((line or 0, key, message) for line, key, message in found) == [
        (5, "model_list[0].litellm_params.rpm", "must be a whole number, not text"),
        (6, "model_list[0].litellm_params.temprature", "unknown key; did you mean 'temperature'?"),
        (7, "model_list[0].litellm_params.model", "duplicate key; first used in line 4"),
        (8, "model_list[1].model_name", "must be text, not a number; put it in quotes"),
        (9, "model_list[1].litellm_params.api_key", "must be text, not a list"),
        (10, "model_list[2].model_name", "this key is required"),
        (12, "model_list[3].litellm_params.litellm_credential_name", "credential_list has no entry with this name"),
        (14, "model_list[4].model_info.id", "duplicate id; model_list[3] already uses it"),
        (15, "router_settings.fallbacks[0].a[1]", "no group, alias or wildcard matches 'c'"),
    ]


def test_names_under_one_wildcard_may_be_fallbacks_of_one_another(tmp_path: Path) -> None:
    registry = load(
        tmp_path,
        """\
model_list:
  - {model_name: fake/*, litellm_params: {model: fake/*}}
  - {model_name: last, litellm_params: {model: fake/echo}}
router_settings:
  fallbacks: [{fake/one: [fake/two]}, {fake/two: [last]}]
""",
    )
    assert registry.fallbacks("fake/one") == ("fake/two",)
    assert registry.fallbacks("fake/two") == ("last",)
    assert registry.fallbacks("fake/three") == ()


def test_an_invalid_entry_does_not_shift_the_lines_of_the_others(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        "model_list:\n  - nonsense\n  - {model_name: a, litellm_params: {model: fake/echo, api_key: os.environ/KEY}}\n",
    )
    registry, problems = check_models(file, {})
    assert [problem.key for problem in problems] == ["model_list[0]"]
    assert [(each.missing, each.line) for each in registry.deployments] == [(("KEY",), 3)]


def test_a_small_file_that_expands_without_end_is_refused(tmp_path: Path) -> None:
    levels = "".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]\n" for n in range(1, 12))
    ((_, _, message),) = faults(tmp_path, f"l0: &l0 [x]\n{levels}")
    assert message == "the file holds more than 100000 values"


KEYS = st.sampled_from(
    "model_list model_name litellm_params model api_key rpm model_info id router_settings fallbacks a * timeout "
    "model_group_alias litellm_settings general_settings default_model default_fallbacks credential_list "
    "credential_name credential_values litellm_credential_name environment_variables include mode".split()
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | KEYS
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS | st.just("os.environ/NAME"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | st.integers(), inner, max_size=4),
    max_leaves=25,
)
PARTS = st.fixed_dictionaries({}, optional={key: VALUES for key in ("model_name", "litellm_params", "model_info")})
FILES = st.fixed_dictionaries(
    {"model_list": st.lists(PARTS, max_size=3) | VALUES},
    optional={key: VALUES for key in ("router_settings", "credential_list", "environment_variables")},
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=FILES | VALUES)
def test_any_value_is_valid_or_a_config_error(tmp_path: Path, value: Any) -> None:
    file = write(tmp_path, yaml.safe_dump(value, allow_unicode=True))
    registry, problems = check_models(file, {})
    if problems:
        assert all(problem.file == file for problem in problems)
        with pytest.raises(ConfigError):
            load_models(file, {})
    else:
        assert registry.deployments or registry.warnings


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(alphabet="ab:-[]{}&*!<>|#'\"?,%@ \n\t~0.", max_size=40))
def test_any_broken_text_is_a_config_error(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError):
        load_models(write(tmp_path, text), {})


def test_prices_are_numbers_and_those_of_litellm_params_win(tmp_path: Path) -> None:
    content = """
model_list:
  - model_name: a
    litellm_params: {model: fake/echo, input_cost_per_token: 1e-6}
    model_info: {input_cost_per_token: 2, output_cost_per_token: "0.5"}
"""
    [found] = load(tmp_path, content).deployments
    assert found.info == {"input_cost_per_token": 1e-6, "output_cost_per_token": 0.5}


def test_a_negative_price_is_a_problem(tmp_path: Path) -> None:
    content = """
model_list:
  - model_name: a
    litellm_params: {model: fake/echo, output_cost_per_token: -1}
"""
    [(line, key, _)] = faults(tmp_path, content)
    assert (line, key) == (4, "model_list[0].litellm_params.output_cost_per_token")


def test_the_environments_base_url_serves_every_openai_deployment_without_one(tmp_path: Path) -> None:
    content = """
model_list:
  - {model_name: a, litellm_params: {model: openai/x, api_key: k}}
  - {model_name: b, litellm_params: {model: openai/x, api_key: k, api_base: https://own.example}}
  - {model_name: c, litellm_params: {model: gpt-4o, api_key: k}}
  - {model_name: d, litellm_params: {model: anthropic/claude-haiku-4-5, api_key: k}}
  - {model_name: vectors, litellm_params: {model: openai/e, api_key: k}, model_info: {mode: embedding}}
"""
    url, other = "http://localhost:1234/v1", "http://localhost:5678/v1"
    registry = load(tmp_path, content, OPENAI_BASE_URL=url, OPENAI_API_BASE=other)
    assert [each.api_base for each in registry.deployments] == [url, "https://own.example", url, None]
    assert [each.api_base for each in registry.embeddings] == [url]
    assert load(tmp_path, content, OPENAI_API_BASE=other).deployments[0].api_base == other
    assert load(tmp_path, content).deployments[0].api_base is None


@pytest.mark.parametrize(
    ("provider", "variable"),
    [("openai", "OPENAI_BASE_URL"), ("azure", "AZURE_API_BASE"), ("hosted_vllm", "HOSTED_VLLM_API_BASE")],
)
def test_an_invalid_base_url_of_the_environment_is_a_problem_where_it_is_used(
    tmp_path: Path, provider: str, variable: str
) -> None:
    entry = "model_list: [{{model_name: a, litellm_params: {{model: {}/x, api_key: k}}}}]"
    _, problems = check_models(write(tmp_path, entry.format(provider)), {variable: "localhost:1234"})
    assert [each.key for each in problems] == [variable]
    assert check_models(write(tmp_path, entry.format("groq")), {variable: "localhost:1234"})[1] == ()


@pytest.mark.parametrize("key", ["api_base", "base_url"])
@pytest.mark.parametrize(
    "url", ["localhost:1234/v1", "http://", "http://me:secret@h:99999/v1", "http://[::1/v1", "http://a b"]
)
def test_an_invalid_base_url_is_a_problem_that_does_not_quote_it(tmp_path: Path, key: str, url: str) -> None:
    text = "model_list:\n  - model_name: a\n    litellm_params:\n      model: openai/x\n"
    message = "must be an HTTP URL, such as http://localhost:1234/v1"
    found = faults(tmp_path, f"{text}      {key}: '{url}'\n")
    assert found == [(5, f"model_list[0].litellm_params.{key}", message)]


def test_a_key_ends_before_the_line_break_of_its_variable(tmp_path: Path) -> None:
    keys = ["", "api_key: os.environ/MINE"]
    entries = "".join(f"\n  - {{model_name: a, litellm_params: {{model: openai/x, {key}}}}}" for key in keys)
    registry = load(tmp_path, f"model_list:{entries}\n", OPENAI_API_KEY="sk-a\n", MINE=" sk-b\r\n")
    assert [each.api_key and each.api_key.get_secret_value() for each in registry.deployments] == ["sk-a", "sk-b"]
    registry = load(tmp_path, f"model_list:{entries}\n", OPENAI_API_KEY=" \n", MINE="\n")
    assert [each.missing for each in registry.deployments] == [("OPENAI_API_KEY",)] * 2


def test_a_base_url_ends_before_the_line_break_of_its_variable(tmp_path: Path) -> None:
    entry = "\n  - {{model_name: a, litellm_params: {{model: openai/x, api_key: k, {}}}}}"
    entries = entry.format("") + entry.format("api_base: os.environ/MINE")
    registry = load(tmp_path, f"model_list:{entries}\n", OPENAI_API_BASE="http://a/v1\n", MINE=" http://b/v1\r\n")
    assert [each.api_base for each in registry.deployments] == ["http://a/v1", "http://b/v1"]


def test_an_empty_base_url_is_none(tmp_path: Path) -> None:
    (deployment,) = load(
        tmp_path, "model_list: [{model_name: a, litellm_params: {model: openai/x, api_key: k, api_base: ''}}]"
    ).deployments
    assert not deployment.api_base
