"""router_settings, litellm_settings and general_settings of models.yaml -> RouterSettings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, get_args

from config.models.deployments import Limits, RouterSettings, RoutingStrategy
from config.models.fallbacks import CHAINS, merged
from config.models.schema import Alias, ModelsFile

_AS_THEY_STAND = (
    "num_retries",
    "retry_after",
    "max_retry_after",
    "allowed_fails",
    "cooldown_time",
    "drop_params",
    "on_cut",
    "hedge_after",
    "hedge_budget",
    "health_check_interval",
)


def read_policies(models: ModelsFile) -> RouterSettings:
    """What router_settings says, then litellm_settings where that is silent, then the defaults."""
    sections = [each for each in (models.router_settings, models.litellm_settings) if each is not None]
    general = models.general_settings

    def said(key: str) -> Any:
        return next((value for each in sections if (value := getattr(each, key, None)) is not None), None)

    strategy, aliases = said("routing_strategy"), aliases_of(models)
    values = {
        **{key: said(key) for key in _AS_THEY_STAND},
        **{key: merged(said(key)) for key in CHAINS},
        "routing_strategy": strategy if strategy in get_args(RoutingStrategy) else None,
        "limits": Limits(**read_limits(said)),
        "default_fallbacks": tuple(said("default_fallbacks") or ()),
        "model_group_alias": {name: alias.model for name, alias in aliases.items()},
        "hidden_aliases": frozenset(name for name, alias in aliases.items() if alias.hidden),
        "default_model": (general.default_model or general.completion_model) if general else None,
    }
    return RouterSettings(**given(values))


def aliases_of(models: ModelsFile) -> Mapping[str, Alias]:
    """The aliases of the section that names any, router_settings first."""
    sections = (models.router_settings, models.litellm_settings)
    return next((each.model_group_alias for each in sections if each and each.model_group_alias), {})


def read_limits(said: Callable[[str], Any]) -> dict[str, float]:
    """The limits that are set, by our names or else by LiteLLM's."""
    return given(
        {
            "turn_deadline": said("turn_deadline") or said("timeout") or said("request_timeout"),
            "first_token_timeout": said("first_token_timeout") or said("stream_timeout"),
            "stall_timeout": said("stall_timeout"),
        }
    )


def given(values: Mapping[str, Any]) -> dict[str, Any]:
    """Without those that are None, so that defaults stay in the dataclasses alone."""
    return {name: value for name, value in values.items() if value is not None}
