"""What models.yaml says, as values: deployments, the groups they form, and how to choose between them.

A **group** is a `model_name`; its **deployments** are the entries that share the name. `Registry.resolve` follows
LiteLLM's rules: an exact name first, then `model_group_alias`, then the most specific wildcard.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from pydantic import SecretStr

RoutingStrategy = Literal["simple-shuffle", "least-busy", "latency-based-routing"]
OnCut = Literal["continue", "error"]


@dataclass(frozen=True, slots=True)
class Limits:
    """Times in seconds. One `turn_deadline` covers a whole turn; the others hold for each attempt."""

    turn_deadline: float = 30.0
    first_token_timeout: float = 5.0
    stall_timeout: float = 5.0


@dataclass(frozen=True, slots=True, eq=False)
class Deployment:
    """One provider's model behind a group name.

    `model` is LiteLLM's name ("openai/gpt-4o-mini", "fake/echo"). `params` is the rest of `litellm_params`: what is
    sent with every request (temperature, extra_headers, ...) and what LiteLLM needs to reach the provider (api_version,
    ...). `id` is unique in the file and stable across reloads of an unchanged entry. `missing` names the environment
    variables that are not set; a deployment with any of them cannot be used. `on_cut` overrides the router's.
    """

    id: str
    group: str
    model: str
    api_key: SecretStr | None = None
    api_base: str | None = None
    params: Mapping[str, Any] = field(default_factory=dict, repr=False)  # may hold credentials
    weight: float = 1.0
    order: int = 0
    rpm: int | None = None
    tpm: int | None = None
    limits: Limits = Limits()
    info: Mapping[str, Any] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    line: int | None = None
    on_cut: OnCut | None = None

    def for_model(self, requested: str) -> Deployment:
        """The deployment with its `*` filled in by what the caller asked for; itself when it has none."""
        return self if "*" not in self.model else _filled_in(self, requested)


@dataclass(frozen=True, slots=True)
class RouterSettings:
    """`router_settings` and the parts of `litellm_settings` and `general_settings` that steer routing.

    Times are in seconds. `num_retries` counts attempts after the first at the same deployment. Each fallback mapping
    goes from a group (or "*") to the groups that stand in, in their order.
    """

    routing_strategy: RoutingStrategy = "simple-shuffle"
    num_retries: int = 2
    max_retry_after: float = 5.0
    allowed_fails: int = 3
    cooldown_time: float = 5.0
    limits: Limits = Limits()
    fallbacks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    default_fallbacks: tuple[str, ...] = ()
    context_window_fallbacks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    content_policy_fallbacks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    model_group_alias: Mapping[str, str] = field(default_factory=dict)
    hidden_aliases: frozenset[str] = frozenset()
    default_model: str | None = None
    drop_params: bool = False
    retry_after: float = 0.0
    on_cut: OnCut = "continue"
    hedge_after: float | None = None
    hedge_budget: float = 0.1
    health_check_interval: float | None = None


@dataclass(frozen=True, slots=True)
class Registry:
    """One immutable reading of models.yaml. `deployments` keeps the file's order and holds the unusable ones too.

    `embeddings` are the deployments that do not chat but turn texts into vectors.
    """

    deployments: tuple[Deployment, ...]
    settings: RouterSettings = RouterSettings()
    source: Path | None = None
    warnings: tuple[str, ...] = ()
    embeddings: tuple[Deployment, ...] = ()

    def resolve(self, name: str) -> str | None:
        """The group that serves `name`, or None. An exact name wins, then an alias, then the longest matching
        wildcard.
        """
        groups = {deployment.group for deployment in self.deployments}
        name = name if name in groups else self.settings.model_group_alias.get(name, name)
        if name in groups:
            return name
        matching = [group for group in groups if "*" in group and _pattern(group).fullmatch(name)]
        return max(matching, key=len, default=None)

    def usable(self, group: str) -> tuple[Deployment, ...]:
        """The group's deployments that have all they need, in the file's order."""
        return tuple(each for each in self.deployments if each.group == group and not each.missing)

    def embedding(self, group: str) -> tuple[Deployment, ...]:
        """The deployments of an embedding group, usable or not, in the file's order."""
        return tuple(each for each in self.embeddings if each.group == group)

    def default_group(self) -> str | None:
        """What stands behind the model name "default": the one that is configured, else the first group that can be
        used.
        """
        if self.settings.default_model:
            return self.resolve(self.settings.default_model)
        return next((each.group for each in self.deployments if not each.missing and "*" not in each.group), None)

    def names(self) -> tuple[str, ...]:
        """Every name that a caller can ask for now: groups with a usable deployment, and the aliases that are not
        hidden.
        """
        groups = dict.fromkeys(each.group for each in self.deployments if not each.missing)
        aliases = (
            alias
            for alias, target in self.settings.model_group_alias.items()
            if alias not in self.settings.hidden_aliases and self.resolve(target) in groups
        )
        return tuple(dict.fromkeys([*(group for group in groups if "*" not in group), *aliases]))

    def fallbacks(
        self, group: str, kind: Literal["any", "context_window", "content_policy"] = "any"
    ) -> tuple[str, ...]:
        """The groups that stand in for `group` after a failure of that kind; the key "*" stands for every group."""
        settings = self.settings
        if kind == "content_policy":
            return _chain(settings.content_policy_fallbacks, group)
        chain = _chain(settings.fallbacks, group) or settings.default_fallbacks
        if kind == "context_window":
            return _chain(settings.context_window_fallbacks, group) or chain
        return chain


def _chain(mapping: Mapping[str, tuple[str, ...]], group: str) -> tuple[str, ...]:
    return mapping.get(group) or mapping.get("*", ())


@lru_cache(maxsize=1024)
def _filled_in(deployment: Deployment, requested: str) -> Deployment:
    # Remembered, since the lanes know a deployment again by its identity.
    matched = _pattern(deployment.group).fullmatch(requested)
    filled = matched.group(1) if matched and matched.groups() else requested
    return replace(deployment, model=deployment.model.replace("*", filled, 1))


def _pattern(group: str) -> re.Pattern[str]:
    return re.compile("(.*)".join(map(re.escape, group.split("*"))), re.DOTALL)
