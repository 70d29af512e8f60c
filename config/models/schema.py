"""The sections of models.yaml: supported keys and their types. Editors show the descriptions."""

from __future__ import annotations

import json
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, field_validator

from config.models import litellm_keys
from config.models.deployments import OnCut, RoutingStrategy
from config.models.entry_schema import ModelEntry
from config.models.error_policies import AllowedFailsPolicy, RetryPolicy
from config.parsing.editor_schema import json_schema
from config.parsing.sections import Count, Name, NonNegative, NotBool, Seconds, Section

# LiteLLM's strategies that the router does not support: a warning, and simple-shuffle is used instead.
UnsupportedStrategy = Literal["usage-based-routing", "usage-based-routing-v2", "cost-based-routing", "lar1"]

Fallbacks = list[dict[str, list[Name]]]


class Alias(Section):
    """An alternative name for a group."""

    model: Name = Field(description="The group.")
    hidden: Annotated[bool, Field(description="Not listed under /v1/models.")] = False


def _alias(value: Any) -> Any:
    return {"model": value} if isinstance(value, str) else value


class RoutingKeys(Section):
    """The keys that router_settings and litellm_settings share, as in LiteLLM; router_settings wins."""

    unknown_keys = "ignored"

    routing_strategy: Literal[RoutingStrategy, UnsupportedStrategy] | None = Field(
        None,
        description="How a group's traffic is distributed over its deployments. `simple-shuffle`: at random by "
        "`weight`. "
        "`least-busy`: the fewest running attempts. `latency-based-routing`: the fastest first token, with one turn in "
        "ten at random. The others are LiteLLM's; a warning says so, and `simple-shuffle` is used. "
        "Default `simple-shuffle`.",
    )
    num_retries: Count | None = Field(None, description="Retries at the same deployment. Default 2.")
    retry_after: NonNegative | None = Field(None, description="Minimum seconds before a retry. Default 0.")
    allowed_fails: Count | None = Field(
        None, description="Failures within a minute that open a deployment's circuit breaker. Default 3."
    )
    retry_policy: RetryPolicy | None = Field(
        None,
        description="`num_retries` by LiteLLM's class of the error: `RateLimitErrorRetries: 1`; `DefaultRetries` for "
        "the other classes.",
    )
    allowed_fails_policy: AllowedFailsPolicy | None = Field(
        None,
        description="Failures within a minute that leave the breaker closed, by LiteLLM's class of the error: "
        "`TimeoutErrorAllowedFails: 10`; the next one opens it.",
    )
    cooldown_time: NonNegative | None = Field(
        None, description="Seconds that the circuit breaker stays open. Default 5."
    )
    timeout: Seconds | None = Field(None, description="LiteLLM's name for `turn_deadline`; used if that is absent.")
    stream_timeout: Seconds | None = Field(
        None, description="LiteLLM's name for `first_token_timeout`; used if that is absent."
    )
    fallbacks: Fallbacks | None = Field(
        None, description="Groups to use after a failure, in order: `- fast: [careful]`; `*` stands for every group."
    )
    default_fallbacks: list[Name] | None = Field(
        None, description="Groups to use for groups without an entry in `fallbacks`."
    )
    context_window_fallbacks: Fallbacks | None = Field(
        None, description="Groups to use when the prompt is too long for the model. Default: as `fallbacks`."
    )
    content_policy_fallbacks: Fallbacks | None = Field(
        None, description="Groups to use when the provider refuses the content. Default: none."
    )
    model_group_alias: (
        dict[str, Annotated[Alias, BeforeValidator(_alias, json_schema_input_type=str | Alias)]] | None
    ) = Field(
        None,
        description="Alternative names for groups: `gpt-4: fast`, or `gpt-4: {model: fast, hidden: true}` to keep it "
        "out of `/v1/models`.",
    )


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
    max_retry_after: NonNegative | None = Field(
        None, description="The longest Retry-After, in seconds, that the router waits for. Default 5."
    )
    on_cut: OnCut | None = Field(
        None,
        description="When an answer breaks off after its first word: `continue` it with another deployment, or "
        "return an `error`. Default `continue`.",
    )
    hedge_after: Seconds | None = Field(
        None, description="Seconds without a first token until a second deployment is raced. Default: off."
    )
    hedge_budget: Annotated[float, Field(ge=0, le=1), NotBool] | None = Field(
        None, description="Maximum share of turns that may be hedged. Default 0.1."
    )
    health_check_interval: Seconds | None = Field(
        None, description="Seconds between one-token checks of idle deployments. Default: off."
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
    unknown_keys = "ignored"
    ignored: ClassVar[frozenset[str]] = litellm_keys.GENERAL_IGNORED

    default_model: Name | None = Field(
        None, description="The group behind the model name `default`. Default: the first usable group."
    )
    completion_model: Name | None = Field(
        None, description="LiteLLM's name for `default_model`; used if that is absent."
    )


class Credential(Section):
    """A key and an address that deployments refer to by name."""

    credential_name: Name = Field(description="The name that `litellm_credential_name` refers to.")
    credential_values: dict[str, Any] = Field(description="`api_key`, `api_base`, `api_version` and so on.")
    credential_info: dict[str, Any] | None = Field(None, description="Notes; without effect.")


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
    unknown_keys = "ignored unless misspelled"

    model_list: Annotated[IndexedModels, Field(description="The deployments.")]
    router_settings: RouterSection | None = Field(None, description="How deployments are selected.")
    litellm_settings: LiteLLMSection | None = Field(None, description="LiteLLM's section; `router_settings` wins.")
    general_settings: GeneralSection | None = Field(None, description="Settings of the server.")
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
