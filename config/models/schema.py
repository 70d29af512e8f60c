"""The supported keys of models.yaml with their types; the descriptions are shown by editors."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, ConfigDict, Field, SecretStr, create_model, field_validator

from config.models import litellm_keys
from config.models.deployments import OnCut, RoutingStrategy
from config.parsing.editor_schema import json_schema
from config.parsing.sections import NotBool, Section

Name = Annotated[str, Field(min_length=1)]
Seconds = Annotated[float, Field(gt=0), NotBool]
Wait = Annotated[float, Field(ge=0), NotBool]
Number = Annotated[float, NotBool]
Count = Annotated[int, Field(ge=0), NotBool]
Whole = Annotated[int, NotBool]

# LiteLLM's strategies that the router does not support: a warning, and simple-shuffle is used instead.
UnsupportedStrategy = Literal["usage-based-routing", "usage-based-routing-v2", "cost-based-routing", "lar1"]

Fallbacks = list[dict[str, list[Name]]]


class KnownParams(Section):
    """How to reach one model: the parameters of LiteLLM's `completion()` and the deployment's share of the traffic."""

    label: ClassVar[str] = "litellm_params"
    ignored: ClassVar[frozenset[str]] = litellm_keys.DEPLOYMENT_IGNORED
    ignored_pattern: ClassVar[str | None] = "cost"

    model: Annotated[
        Name,
        Field(description="LiteLLM's model name, such as `openai/gpt-4o-mini`; `*` is what `model_name` matched."),
    ]
    api_key: SecretStr | None = Field(
        None,
        description="The provider's key, preferably `os.environ/NAME`. Default: the provider's usual variable.",
    )
    api_base: str | None = Field(None, description="Base URL, for a self-hosted provider or a proxy.")
    base_url: str | None = Field(None, description="Same as `api_base`.")
    litellm_credential_name: str | None = Field(
        None, description="Name of an entry of `credential_list`; its values are used here."
    )
    weight: Wait | None = Field(
        None, description="Share of the group's traffic, relative to the other deployments. Default 1."
    )
    order: Whole | None = Field(None, description="Lower is tried first; equal ones share the traffic. Default 0.")
    rpm: Count | None = Field(None, description="The provider's limit of requests per minute.")
    tpm: Count | None = Field(None, description="The provider's limit of tokens per minute.")
    turn_deadline: Seconds | None = Field(None, description="Seconds for a whole turn.")
    first_token_timeout: Seconds | None = Field(
        None, description="Seconds from sending the request to the first token."
    )
    stall_timeout: Seconds | None = Field(None, description="Seconds between two chunks.")
    timeout: Seconds | None = Field(None, description="LiteLLM's name for `turn_deadline`; used if that is absent.")
    request_timeout: Seconds | None = Field(None, description="Same as `timeout`.")
    stream_timeout: Seconds | None = Field(
        None, description="LiteLLM's name for `first_token_timeout`; used if that is absent."
    )
    on_cut: OnCut | None = Field(
        None, description="When an answer breaks off: continue it with another deployment, or return an error."
    )
    # Forwarded like the rest of litellm_keys.DEPLOYMENT_FORWARDED; listed here because their types are known.
    temperature: Number | None = Field(None, description="Sampling temperature. The caller's value wins.")
    top_p: Number | None = Field(None, description="Nucleus sampling. The caller's value wins.")
    max_tokens: Count | None = Field(None, description="Maximum tokens of an answer. The caller's value wins.")
    max_completion_tokens: Count | None = Field(None, description="Same as `max_tokens`, for reasoning models.")
    seed: Whole | None = Field(None, description="Sampling seed.")
    api_version: str | None = Field(None, description="Azure API version, such as 2025-04-01-preview.")
    organization: str | None = Field(None, description="OpenAI organization.")
    custom_llm_provider: str | None = Field(None, description="The provider, if the model name does not contain it.")
    extra_headers: dict[str, str] | None = Field(None, description="Headers added to every request.")
    extra_body: dict[str, Any] | None = Field(
        None, description="Fields added to the body of every request, for provider-specific parameters."
    )
    drop_params: bool | None = Field(
        None, description="Drop parameters that the model does not support, instead of returning an error."
    )
    additional_drop_params: list[str] | None = Field(None, description="Parameters that are never sent.")


if TYPE_CHECKING:
    LiteLLMParams = KnownParams
else:
    _others = sorted(litellm_keys.DEPLOYMENT_FORWARDED - KnownParams.model_fields.keys())
    LiteLLMParams = create_model(
        "LiteLLMParams",
        __base__=KnownParams,
        __doc__=KnownParams.__doc__,
        **{name: (Any, Field(None, description="Forwarded to the provider.")) for name in _others},
    )


class ModelInfo(Section):
    """Facts about the model. Other keys are kept unchanged."""

    model_config = ConfigDict(extra="allow")

    id: str | int | None = Field(
        None, description="Id of the deployment, unique in the file. Default: generated from group and model."
    )
    mode: str | None = Field(
        None,
        description="LiteLLM's mode of the model. Chat models serve turns, `embedding` models long-term memory; other "
        "modes are left out.",
    )
    memory: bool | None = Field(
        None, description="Whether chat completions with a `user` get agent.yaml's long-term memory."
    )
    supports_assistant_prefill: bool | None = Field(
        None, description="Whether the model continues a partial assistant message."
    )
    bills_on_cancel: bool | None = Field(
        None, description="Whether the provider bills cancelled requests in full; such a deployment is never hedged."
    )


class ModelEntry(Section):
    """One deployment. Entries with the same `model_name` form a group."""

    model_name: Annotated[Name, Field(description="The name that callers use; `*` matches any text.")]
    litellm_params: LiteLLMParams
    model_info: ModelInfo | None = None


class Alias(Section):
    """An alternative name for a group."""

    model: Name
    hidden: Annotated[bool, Field(description="Not listed under /v1/models.")] = False


def _alias(value: Any) -> Any:
    return {"model": value} if isinstance(value, str) else value


class RoutingKeys(Section):
    """The keys that router_settings and litellm_settings share, as in LiteLLM; router_settings wins."""

    routing_strategy: Literal[RoutingStrategy, UnsupportedStrategy] | None = Field(
        None, description="How a group's traffic is distributed over its deployments."
    )
    num_retries: Count | None = Field(None, description="Retries at the same deployment. Default 2.")
    retry_after: Wait | None = Field(None, description="Minimum seconds before a retry.")
    allowed_fails: Count | None = Field(
        None, description="Failures within a minute that open a deployment's circuit breaker. Default 3."
    )
    cooldown_time: Wait | None = Field(None, description="Seconds that the circuit breaker stays open. Default 5.")
    timeout: Seconds | None = Field(None, description="LiteLLM's name for `turn_deadline`; used if that is absent.")
    stream_timeout: Seconds | None = Field(
        None, description="LiteLLM's name for `first_token_timeout`; used if that is absent."
    )
    fallbacks: Fallbacks | None = Field(
        None, description="Groups to use after a failure: `- fast: [careful]`; `*` stands for every group."
    )
    default_fallbacks: list[Name] | None = Field(
        None, description="Groups to use for groups without an entry in `fallbacks`."
    )
    context_window_fallbacks: Fallbacks | None = Field(
        None, description="Groups to use when the prompt is too long for the model."
    )
    content_policy_fallbacks: Fallbacks | None = Field(
        None, description="Groups to use when the provider refuses the content."
    )
    model_group_alias: (
        dict[str, Annotated[Alias, BeforeValidator(_alias, json_schema_input_type=str | Alias)]] | None
    ) = Field(None, description="Alternative names for groups: `gpt-4: fast`.")


class RouterSection(RoutingKeys):
    """How deployments are selected, and what happens when one fails."""

    label: ClassVar[str] = "router_settings"
    ignored: ClassVar[frozenset[str]] = litellm_keys.ROUTER_IGNORED

    turn_deadline: Seconds | None = Field(
        None, description="Seconds for a whole turn, including all attempts. Default 30."
    )
    first_token_timeout: Seconds | None = Field(
        None, description="Seconds from sending a request to the first token. Default 5."
    )
    stall_timeout: Seconds | None = Field(None, description="Seconds between two chunks. Default 5.")
    max_retry_after: Wait | None = Field(
        None, description="The longest Retry-After, in seconds, that the router waits for. Default 5."
    )
    on_cut: OnCut | None = Field(
        None, description="When an answer breaks off: continue it with another deployment, or return an error."
    )
    hedge_after: Seconds | None = Field(
        None, description="Seconds without a first token until a second deployment is raced. Default: off."
    )
    hedge_budget: Annotated[float, Field(ge=0, le=1), NotBool] | None = Field(
        None, description="Maximum share of turns that may be hedged. Default 0.1."
    )
    health_check_interval: Seconds | None = Field(
        None, description="Seconds between health checks of idle deployments. Default: off."
    )


class LiteLLMSection(RoutingKeys):
    """LiteLLM's module settings. Routing keys apply where router_settings does not set them."""

    label: ClassVar[str] = "litellm_settings"
    ignored: ClassVar[frozenset[str]] = litellm_keys.LITELLM_IGNORED

    drop_params: bool | None = Field(
        None, description="Drop parameters that a model does not support, instead of returning an error."
    )
    request_timeout: Seconds | None = Field(None, description="Same as router_settings.timeout.")


class GeneralSection(Section):
    """Settings of the server. Most of LiteLLM's proxy settings are ignored."""

    label: ClassVar[str] = "general_settings"
    ignored: ClassVar[frozenset[str]] = litellm_keys.GENERAL_IGNORED

    default_model: Name | None = Field(
        None, description="The group behind the model name `default`. Default: the first usable group."
    )
    completion_model: Name | None = Field(
        None, description="LiteLLM's name for `default_model`; used if that is absent."
    )


class Credential(Section):
    """A key and an address that deployments refer to by name."""

    credential_name: Name
    credential_values: dict[str, Any]
    credential_info: dict[str, Any] | None = None


def index_list(value: Any) -> Any:
    """Turn a list into a mapping from index to entry, so that removing an invalid entry does not shift the others."""
    return dict(enumerate(value)) if isinstance(value, list) else value


def _indexed_models(value: Any) -> Any:
    entries = index_list(value)
    if not isinstance(entries, dict) or not all(isinstance(index, int) for index in entries):
        raise ValueError("must be a list of deployments, each starting with `- model_name:`")
    if not entries:
        raise ValueError("must contain at least one deployment")
    return entries


IndexedModels = Annotated[
    dict[int, ModelEntry],
    BeforeValidator(_indexed_models, json_schema_input_type=Annotated[list[ModelEntry], Field(min_length=1)]),
]


class ModelsFile(Section):
    """Models and routing settings, in LiteLLM's format."""

    ignored: ClassVar[frozenset[str]] = litellm_keys.SECTIONS_IGNORED

    model_list: Annotated[IndexedModels, Field(description="The deployments.")]
    router_settings: RouterSection | None = None
    litellm_settings: LiteLLMSection | None = None
    general_settings: GeneralSection | None = None
    environment_variables: dict[str, str | int | float | bool] | None = Field(
        None, description="Values for `os.environ/NAME` in this file; the real environment wins."
    )
    credential_list: list[Credential] | None = Field(
        None, description="Keys and addresses for `litellm_credential_name`."
    )
    include: Annotated[None, Field(description="Not supported: put everything into one file.")] = None

    @field_validator("include", mode="before")
    @classmethod
    def _one_file(cls, value: Any) -> None:
        if value is not None:
            raise ValueError("including other files is not supported; put everything into one file")


def models_schema() -> dict[str, Any]:
    """The JSON schema of models.yaml."""
    return json_schema(ModelsFile, title="Switchboard's models.yaml")


def schema_text() -> str:
    """The JSON schema as text, as in docs/models.schema.json."""
    return json.dumps(models_schema(), indent=2, ensure_ascii=False) + "\n"
