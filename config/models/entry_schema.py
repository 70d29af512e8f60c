"""An entry of model_list in models.yaml: its keys and types. Editors show the descriptions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, ConfigDict, Field, SecretStr, create_model

from config.models import litellm_keys
from config.models.deployments import OnCut
from config.parsing.sections import Count, Integer, Name, NonNegative, Number, Seconds, Section
from config.parsing.urls import base_url

_BaseUrl = Annotated[
    str, AfterValidator(base_url), Field(json_schema_extra={"pattern": r"^(https?://|os\.environ/|$)"})
]


class PricedSection(Section):
    """Prices of the deployment's own, in US dollars for one token. They win over LiteLLM's price map."""

    input_cost_per_token: NonNegative | None = Field(
        None, description="US dollars for one token of the prompt. Default: LiteLLM's price."
    )
    output_cost_per_token: NonNegative | None = Field(
        None, description="US dollars for one token of the answer. Default: LiteLLM's price."
    )
    cache_read_input_token_cost: NonNegative | None = Field(
        None, description="US dollars for one token that the provider had cached. Default: as `input_cost_per_token`."
    )
    cache_creation_input_token_cost: NonNegative | None = Field(
        None, description="US dollars for one token that the provider caches. Default: as `input_cost_per_token`."
    )
    output_cost_per_reasoning_token: NonNegative | None = Field(
        None, description="US dollars for one token of reasoning. Default: as `output_cost_per_token`."
    )


class KnownParams(PricedSection):
    """How to reach one model: the parameters of LiteLLM's `completion()` and the deployment's share of the traffic."""

    label: ClassVar[str] = "litellm_params"
    ignored: ClassVar[frozenset[str]] = litellm_keys.DEPLOYMENT_IGNORED
    ignored_pattern: ClassVar[str | None] = "cost|^_"
    unknown_keys = "ignored unless misspelled"

    model: Annotated[
        Name,
        Field(
            description="LiteLLM's name: the provider, `/`, the provider's name of the model, such as "
            "`openai/gpt-4o-mini`; "
            "`*` is what `model_name` matched. `fake/echo` is the fake model."
        ),
    ]
    api_key: SecretStr | None = Field(
        None,
        description="The provider's key, preferably `os.environ/NAME`. Default: the provider's usual variable.",
    )
    api_base: _BaseUrl | None = Field(None, description="Base URL, for a self-hosted provider or a proxy.")
    base_url: _BaseUrl | None = Field(None, description="Same as `api_base`.")
    litellm_credential_name: str | None = Field(
        None, description="Name of an entry of `credential_list`; its values are used here."
    )
    weight: NonNegative | None = Field(
        None, description="Share of the group's traffic, relative to the other deployments. Default 1; 0 is tried last."
    )
    order: Integer | None = Field(None, description="Lower is tried first; equal ones share the traffic. Default 0.")
    rpm: Count | None = Field(
        None, description="The provider's limit of requests per minute; a deployment at its limit is skipped."
    )
    tpm: Count | None = Field(
        None, description="The provider's limit of tokens per minute; a deployment at its limit is skipped."
    )
    turn_deadline: Seconds | None = Field(None, description="No effect on one deployment; set it in router_settings.")
    first_token_timeout: Seconds | None = Field(
        None, description="Seconds from sending the request to the first token."
    )
    stall_timeout: Seconds | None = Field(None, description="Seconds between two chunks.")
    timeout: Seconds | None = Field(None, description="Same as `turn_deadline`.")
    request_timeout: Seconds | None = Field(None, description="Same as `turn_deadline`.")
    stream_timeout: Seconds | None = Field(
        None, description="LiteLLM's name for `first_token_timeout`; used if that is absent."
    )
    on_cut: OnCut | None = Field(
        None,
        description="When an answer breaks off after its first word: `continue` it with another deployment, or "
        "return an "
        "`error`. Default: as in router_settings.",
    )
    fallbacks: list[Name | dict[str, Any]] | None = Field(
        None,
        description="What to use when the group fails, before `fallbacks` of the settings: names of groups, LiteLLM's "
        "model names, or mappings with `model` and other litellm_params.",
    )
    # Forwarded like the rest of litellm_keys.DEPLOYMENT_FORWARDED; listed here because their types are known.
    temperature: Number | None = Field(None, description="Sampling temperature. The caller's value wins.")
    top_p: Number | None = Field(None, description="Nucleus sampling. The caller's value wins.")
    max_tokens: Count | None = Field(None, description="Maximum tokens of an answer. The caller's value wins.")
    max_completion_tokens: Count | None = Field(None, description="Same as `max_tokens`, for reasoning models.")
    seed: Integer | None = Field(None, description="Sampling seed.")
    api_version: str | None = Field(None, description="Azure API version, such as 2025-04-01-preview.")
    organization: str | list[str] | None = Field(
        None, description="OpenAI organization; a list makes one deployment for each."
    )
    custom_llm_provider: str | None = Field(None, description="The provider, if the model name does not contain it.")
    extra_headers: dict[str, str] | None = Field(None, description="Headers added to every request.")
    extra_body: dict[str, Any] | None = Field(
        None, description="Fields added to the body of every request, for provider-specific parameters."
    )
    drop_params: bool | None = Field(
        None, description="Drop parameters that the model does not support. Otherwise they are a 400 that names them."
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


class ModelInfo(PricedSection):
    """Facts about the model. Other keys are kept unchanged."""

    model_config = ConfigDict(extra="allow")

    id: str | int | None = Field(
        None,
        description="Id of the deployment, unique in the file. Default: `group/provider-model`, with `#2` for the "
        "second of its kind.",
    )
    mode: str | None = Field(
        None,
        description="LiteLLM's mode of the model. Chat models serve turns, `embedding` models long-term memory and "
        "`/v1/embeddings`; other modes are left out, with a warning. Default: as in LiteLLM's list of models.",
    )
    memory: bool | None = Field(
        None, description="Whether chat completions with a `user` get agent.yaml's long-term memory."
    )
    hand_offs: bool | None = Field(
        None,
        description="Whether chat completions offer the agent's own hand-offs (`transferCall`, `endCall`). Default "
        "true; the header `x-switchboard-hand-offs` of a request wins. One deployment with `false` decides for its "
        "group.",
    )
    lane: Literal["openai", "litellm"] | None = Field(
        None,
        description="How the provider is reached. Default: providers that speak OpenAI's wire format directly, all "
        "others through LiteLLM.",
    )
    base_model: str | None = Field(
        None,
        description="The model behind a name of your own, such as Azure's: `azure/gpt-4o`. It tells the price and "
        "the mode.",
    )
    supports_assistant_prefill: bool | None = Field(
        None, description="Whether the model continues a partial assistant message."
    )
    bills_on_cancel: bool | None = Field(
        None, description="Whether the provider bills cancelled requests in full; such a deployment is never hedged."
    )


class ModelEntry(Section):
    """One deployment. Entries with the same `model_name` form a group."""

    unknown_keys = "ignored unless misspelled"

    model_name: Annotated[Name, Field(description="The name that callers use; `*` matches any text.")]
    litellm_params: LiteLLMParams = Field(description="How to reach the model.")
    model_info: ModelInfo | None = Field(None, description="Facts about the model.")
