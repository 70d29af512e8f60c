"""The keys of models.yaml that have a meaning here, with their types and what an editor says about them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, ConfigDict, Field, SecretStr, create_model, field_validator

from config.models import litellm_keys
from config.models.deployments import OnCut, RoutingStrategy
from config.reading.editor_schema import json_schema
from config.reading.sections import NotBool, Section

Name = Annotated[str, Field(min_length=1)]
Seconds = Annotated[float, Field(gt=0), NotBool]
Wait = Annotated[float, Field(ge=0), NotBool]
Number = Annotated[float, NotBool]
Count = Annotated[int, Field(ge=0), NotBool]
Whole = Annotated[int, NotBool]

# Strategies of LiteLLM's that the router does not have; a file that names one is warned, and simple-shuffle stands in.
OtherStrategy = Literal["usage-based-routing", "usage-based-routing-v2", "cost-based-routing", "lar1"]

Fallbacks = list[dict[str, list[Name]]]


class KnownParams(Section):
    """How to reach one model: everything that LiteLLM's `completion()` takes, and its share of the turns."""

    place: ClassVar[str] = "litellm_params"
    ignored: ClassVar[frozenset[str]] = litellm_keys.DEPLOYMENT_IGNORED
    ignored_pattern: ClassVar[str | None] = "cost"

    model: Annotated[Name, Field(description="LiteLLM's name, as in `openai/gpt-4o-mini`; `*` stands for the rest.")]
    api_key: SecretStr | None = Field(
        None, description="The provider's key; best `os.environ/NAME`. Left out: the provider's usual variable."
    )
    api_base: str | None = Field(None, description="The endpoint's address, for a provider of your own or a proxy.")
    base_url: str | None = Field(None, description="The same as `api_base`.")
    litellm_credential_name: str | None = Field(None, description="Takes key and address from `credential_list`.")
    weight: Wait | None = Field(
        None, description="Its share of the group's turns, in relation to the others'. Default 1."
    )
    order: Whole | None = Field(None, description="Lower is tried first; equal ones share the turns. Default 0.")
    rpm: Count | None = Field(None, description="Requests a minute that the provider allows.")
    tpm: Count | None = Field(None, description="Tokens a minute that the provider allows.")
    turn_deadline: Seconds | None = Field(None, description="Seconds for a whole turn.")
    first_token_timeout: Seconds | None = Field(
        None, description="Seconds from sending the request to the first token."
    )
    stall_timeout: Seconds | None = Field(None, description="Seconds between two chunks.")
    timeout: Seconds | None = Field(None, description="LiteLLM's name; read as `turn_deadline` when that is absent.")
    request_timeout: Seconds | None = Field(None, description="The same as `timeout`.")
    stream_timeout: Seconds | None = Field(
        None, description="LiteLLM's name; read as `first_token_timeout` when that is absent."
    )
    on_cut: OnCut | None = Field(
        None, description="After a cut answer: go on with another deployment, or report an error."
    )
    # Passed on like the rest of litellm_keys.PASSED_ON; they stand here because their types are known.
    temperature: Number | None = Field(None, description="Sampling temperature, unless the caller sends one.")
    top_p: Number | None = Field(None, description="Nucleus sampling, unless the caller sends it.")
    max_tokens: Count | None = Field(None, description="Longest answer in tokens, unless the caller sends it.")
    max_completion_tokens: Count | None = Field(None, description="The same for reasoning models.")
    seed: Whole | None = Field(None, description="Seed of the sampling.")
    api_version: str | None = Field(None, description="Version of Azure's interface, such as 2025-04-01-preview.")
    organization: str | None = Field(None, description="OpenAI's organization.")
    custom_llm_provider: str | None = Field(None, description="The provider, when the model's name does not say it.")
    extra_headers: dict[str, str] | None = Field(None, description="Headers added to every request.")
    extra_body: dict[str, Any] | None = Field(
        None, description="Fields added to every request's body, for what only this provider knows."
    )
    drop_params: bool | None = Field(
        None, description="Leave out parameters that the provider does not know, instead of an error."
    )
    additional_drop_params: list[str] | None = Field(None, description="Parameters that are never sent.")


if TYPE_CHECKING:
    LiteLLMParams = KnownParams
else:
    _others = sorted(litellm_keys.PASSED_ON - KnownParams.model_fields.keys())
    LiteLLMParams = create_model(
        "LiteLLMParams",
        __base__=KnownParams,
        __doc__=KnownParams.__doc__,
        **{name: (Any, Field(None, description="Passed on to LiteLLM.")) for name in _others},
    )


class ModelInfo(Section):
    """What is known about the model. Other keys are kept as they are."""

    model_config = ConfigDict(extra="allow")

    id: str | int | None = Field(
        None, description="A name for this deployment; unique in the file. Left out: made from group and model."
    )
    mode: str | None = Field(
        None,
        description="LiteLLM's word for what the model does; those that chat are used here, and `embedding` for "
        "long-term memory.",
    )
    memory: bool | None = Field(
        None, description="Whether chat completions that name their `user` have agent.yaml's long-term memory."
    )
    supports_assistant_prefill: bool | None = Field(None, description="Whether it goes on from a half-said answer.")
    bills_on_cancel: bool | None = Field(
        None, description="Whether a cancelled request costs as much; then it is never raced."
    )


class ModelEntry(Section):
    """One deployment. Entries with the same `model_name` form a group."""

    model_name: Annotated[Name, Field(description="The name that callers use; `*` matches any text.")]
    litellm_params: LiteLLMParams
    model_info: ModelInfo | None = None


class Alias(Section):
    """A further name for a group."""

    model: Name
    hidden: Annotated[bool, Field(description="Not listed under /v1/models.")] = False


def _alias(value: Any) -> Any:
    return {"model": value} if isinstance(value, str) else value


class RoutingKeys(Section):
    """What both router_settings and litellm_settings may say, as in LiteLLM; router_settings wins."""

    routing_strategy: Literal[RoutingStrategy, OtherStrategy] | None = Field(
        None, description="How a group's turns are shared out."
    )
    num_retries: Count | None = Field(None, description="Further attempts at the same deployment. Default 2.")
    retry_after: Wait | None = Field(None, description="Least seconds before such an attempt.")
    allowed_fails: Count | None = Field(
        None, description="Failures in a minute after which a deployment rests. Default 3."
    )
    cooldown_time: Wait | None = Field(None, description="Seconds that it rests. Default 5.")
    timeout: Seconds | None = Field(None, description="LiteLLM's name; read as `turn_deadline` when that is absent.")
    stream_timeout: Seconds | None = Field(
        None, description="LiteLLM's name; read as `first_token_timeout` when that is absent."
    )
    fallbacks: Fallbacks | None = Field(
        None, description="After a failure: `- fast: [careful]`; `*` stands for every group."
    )
    default_fallbacks: list[Name] | None = Field(None, description="For groups that `fallbacks` does not name.")
    context_window_fallbacks: Fallbacks | None = Field(None, description="When the prompt is too long for the model.")
    content_policy_fallbacks: Fallbacks | None = Field(None, description="When the provider refuses the content.")
    model_group_alias: (
        dict[str, Annotated[Alias, BeforeValidator(_alias, json_schema_input_type=str | Alias)]] | None
    ) = Field(None, description="Further names for groups: `gpt-4: fast`.")


class RouterSection(RoutingKeys):
    """How deployments are chosen, and what follows when one fails."""

    place: ClassVar[str] = "router_settings"
    ignored: ClassVar[frozenset[str]] = litellm_keys.ROUTER_IGNORED

    turn_deadline: Seconds | None = Field(
        None, description="Seconds for a whole turn, with all its attempts. Default 30."
    )
    first_token_timeout: Seconds | None = Field(
        None, description="Seconds from sending a request to the first token. Default 5."
    )
    stall_timeout: Seconds | None = Field(None, description="Seconds between two chunks. Default 5.")
    max_retry_after: Wait | None = Field(
        None, description="The longest Retry-After, in seconds, that is waited for. Default 5."
    )
    on_cut: OnCut | None = Field(
        None, description="After a cut answer: go on with another deployment, or report an error."
    )
    hedge_after: Seconds | None = Field(
        None, description="Race a second deployment when no token came by then. Off when left out."
    )
    hedge_budget: Annotated[float, Field(ge=0, le=1), NotBool] | None = Field(
        None, description="Share of turns that may be raced."
    )
    health_check_interval: Seconds | None = Field(None, description="Seconds between probes of resting deployments.")


class LiteLLMSection(RoutingKeys):
    """LiteLLM's module settings; those that steer routing count when router_settings does not say."""

    place: ClassVar[str] = "litellm_settings"
    ignored: ClassVar[frozenset[str]] = litellm_keys.LITELLM_IGNORED

    drop_params: bool | None = Field(
        None, description="Leave out parameters that a provider does not know, instead of an error."
    )
    request_timeout: Seconds | None = Field(None, description="The same as router_settings.timeout.")


class GeneralSection(Section):
    """Settings of the server. Nearly all of LiteLLM's proxy mean nothing here."""

    place: ClassVar[str] = "general_settings"
    ignored: ClassVar[frozenset[str]] = litellm_keys.GENERAL_IGNORED

    default_model: Name | None = Field(
        None, description="What the model name `default` stands for. Left out: the first usable group."
    )
    completion_model: Name | None = Field(
        None, description="LiteLLM's name; read as `default_model` when that is absent."
    )


class Credential(Section):
    """A key and an address that several deployments share by its name."""

    credential_name: Name
    credential_values: dict[str, Any]
    credential_info: dict[str, Any] | None = None


def number(value: Any) -> Any:
    """A list as a mapping from its indices, which keeps each entry's number when a faulty one is taken out."""
    return dict(enumerate(value)) if isinstance(value, list) else value


def _numbered(value: Any) -> Any:
    entries = number(value)
    if not isinstance(entries, dict) or not all(isinstance(index, int) for index in entries):
        raise ValueError("must be a list of deployments, each beginning with `- model_name:`")
    if not entries:
        raise ValueError("must hold at least one deployment")
    return entries


Numbered = Annotated[
    dict[int, ModelEntry],
    BeforeValidator(_numbered, json_schema_input_type=Annotated[list[ModelEntry], Field(min_length=1)]),
]


class ModelsFile(Section):
    """Which models there are, and how turns are shared out between them. The format is LiteLLM's."""

    ignored: ClassVar[frozenset[str]] = litellm_keys.SECTIONS_IGNORED

    model_list: Annotated[Numbered, Field(description="The deployments.")]
    router_settings: RouterSection | None = None
    litellm_settings: LiteLLMSection | None = None
    general_settings: GeneralSection | None = None
    environment_variables: dict[str, str | int | float | bool] | None = Field(
        None, description="For `os.environ/NAME` in this file; the real environment wins."
    )
    credential_list: list[Credential] | None = Field(
        None, description="Keys and addresses for `litellm_credential_name`."
    )
    include: Annotated[None, Field(description="Not supported: write everything in one file.")] = None

    @field_validator("include", mode="before")
    @classmethod
    def _one_file(cls, value: Any) -> None:
        if value is not None:
            raise ValueError("other files cannot be included; write everything in one file")


def models_schema() -> dict[str, Any]:
    """The JSON schema of models.yaml."""
    return json_schema(ModelsFile, title="Switchboard's models.yaml")


def schema_text() -> str:
    """The same as it is printed and kept in docs/models.schema.json."""
    return json.dumps(models_schema(), indent=2, ensure_ascii=False) + "\n"
