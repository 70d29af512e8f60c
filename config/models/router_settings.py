"""router_settings, litellm_settings and general_settings of models.yaml -> RouterSettings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, get_args

from config.models.deployments import RouterSettings, RoutingStrategy, Timeouts
from config.models.error_policies import by_error_class
from config.models.schema import Alias, Fallbacks, ModelsFile

FALLBACK_KEYS = ("fallbacks", "context_window_fallbacks", "content_policy_fallbacks")

_COPIED_KEYS = (
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


def read_router_settings(models: ModelsFile) -> RouterSettings:
    """The settings: router_settings wins over litellm_settings, and both win over the defaults."""
    sections = [each for each in (models.router_settings, models.litellm_settings) if each is not None]
    general = models.general_settings

    def get(key: str) -> Any:
        return next((value for each in sections if (value := getattr(each, key, None)) is not None), None)

    strategy, aliases = get("routing_strategy"), _aliases(models)
    values = {
        **{key: get(key) for key in _COPIED_KEYS},
        **{key: _merge_fallbacks(get(key)) for key in FALLBACK_KEYS},
        "routing_strategy": strategy if strategy in get_args(RoutingStrategy) else None,
        "timeouts": Timeouts(**read_timeouts(get)),
        "retry_policy": by_error_class(get("retry_policy")),
        "allowed_fails_policy": by_error_class(get("allowed_fails_policy")),
        "default_fallbacks": tuple(get("default_fallbacks") or ()),
        "model_group_alias": {name: alias.model for name, alias in aliases.items()},
        "hidden_aliases": frozenset(name for name, alias in aliases.items() if alias.hidden),
        "default_model": (general.default_model or general.completion_model) if general else None,
    }
    return RouterSettings(**drop_none(values))


def read_timeouts(get: Callable[[str], Any]) -> dict[str, float]:
    """The timeouts that are set. Our own names win over LiteLLM's; `get` returns the value of a key, or None."""
    return drop_none(
        {
            "turn_deadline": get("turn_deadline") or get("timeout") or get("request_timeout"),
            "first_token_timeout": get("first_token_timeout") or get("stream_timeout"),
            "stall_timeout": get("stall_timeout"),
        }
    )


def drop_none(values: Mapping[str, Any]) -> dict[str, Any]:
    """`values` without those that are None, so that the dataclass default applies."""
    return {name: value for name, value in values.items() if value is not None}


def _aliases(models: ModelsFile) -> Mapping[str, Alias]:
    """The aliases of the first section that has any."""
    sections = (models.router_settings, models.litellm_settings)
    return next((each.model_group_alias for each in sections if each and each.model_group_alias), {})


def _merge_fallbacks(fallbacks: Fallbacks | None) -> dict[str, tuple[str, ...]] | None:
    """LiteLLM's list of one-key mappings as one mapping; the first entry for a group wins."""
    if fallbacks is None:
        return None
    merged: dict[str, tuple[str, ...]] = {}
    for entry in fallbacks:
        for group, targets in entry.items():
            merged.setdefault(group, tuple(targets))
    return merged
