"""The contents of models.yaml as immutable values.

A **group** is a `model_name`; its **deployments** are the entries with that name. `Registry.resolve` follows LiteLLM's
rules: an exact name wins, then `model_group_alias`, then the id of a deployment, then the most specific wildcard.
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

BREAKER_SEPARATOR = " = "
"""Between a deployment's id and the name that fills its wildcard."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """In seconds. `turn_deadline` covers a whole turn; the others apply to each attempt."""

    turn_deadline: float = 30.0
    first_token_timeout: float = 5.0
    stall_timeout: float = 5.0


@dataclass(frozen=True, slots=True, eq=False)
class Deployment:
    """One provider's model in a group.

    `id` is unique in the file and does not change when an unchanged entry is reloaded. `model` is LiteLLM's name
    ("openai/gpt-4o-mini", "fake/echo"). `params` holds the remaining `litellm_params`: request parameters (temperature,
    extra_headers) and provider access (api_version). `missing` lists what is required and missing: environment
    variables, and Python packages as `pip install NAME`; such a deployment cannot be used. `on_cut` overrides the
    router's setting. A deployment that is not `listed` only serves as another entry's fallback. `filled` is the name
    that a caller's model name put in the place of the model's `*`.
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
    timeouts: Timeouts = Timeouts()
    info: Mapping[str, Any] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    line: int | None = None
    on_cut: OnCut | None = None
    listed: bool = True
    filled: str | None = None

    @property
    def breaker_id(self) -> str:
        """The id of the circuit breaker. Each name under a wildcard has its own: a refused name is no other's fault."""
        return self.id if self.filled is None else f"{self.id}{BREAKER_SEPARATOR}{self.filled}"

    def for_model(self, requested: str) -> Deployment:
        """The deployment with the `*` of its model replaced by the part of `requested` that the group matched."""
        return self if "*" not in self.model else _with_wildcard_filled(self, requested)


@dataclass(frozen=True, slots=True)
class RouterSettings:
    """Routing settings from `router_settings`, `litellm_settings` and `general_settings`.

    Times are in seconds. `num_retries` counts the retries at the same deployment. The fallback mappings map a group (or
    "*" for every group) to its fallback groups, in order. `retry_policy` and `allowed_fails_policy` map LiteLLM's
    classes of errors ("RateLimitError") to numbers that replace `num_retries` and `allowed_fails`.
    """

    routing_strategy: RoutingStrategy = "simple-shuffle"
    num_retries: int = 2
    retry_policy: Mapping[str, int] = field(default_factory=dict)
    max_retry_after: float = 5.0
    allowed_fails: int = 3
    allowed_fails_policy: Mapping[str, int] = field(default_factory=dict)
    cooldown_time: float = 5.0
    timeouts: Timeouts = Timeouts()
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
    """An immutable snapshot of models.yaml.

    `deployments` are the chat deployments in file order, including those with missing keys. `embeddings` are the
    embedding deployments.
    """

    deployments: tuple[Deployment, ...]
    settings: RouterSettings = RouterSettings()
    source: Path | None = None
    warnings: tuple[str, ...] = ()
    embeddings: tuple[Deployment, ...] = ()

    def resolve(self, name: str) -> str | None:
        """The group of that name or alias, the deployment of that id, or the longest wildcard; None if none is.

        A wildcard serves only names of plain segments: anything else could change the path of the provider's URL.
        """
        groups = {deployment.group for deployment in self.deployments}
        name = name if name in groups else self.settings.model_group_alias.get(name, name)
        if name in groups or any(each.id == name and "*" not in each.model for each in self.deployments):
            return name
        matching = [group for group in groups if "*" in group and _serves(group, name)]
        return max(matching, key=len, default=None)

    def usable(self, group: str) -> tuple[Deployment, ...]:
        """The usable deployments of a group, in file order. The id of a deployment is a group of its own."""
        found = [each for each in self.deployments if each.group == group]
        found = found or [each for each in self.deployments if each.id == group]
        return tuple(each for each in found if not each.missing)

    def embedding(self, group: str) -> tuple[Deployment, ...]:
        """All deployments of an embedding group, in file order."""
        return tuple(each for each in self.embeddings if each.group == group)

    def default_group(self) -> str | None:
        """The group behind the model name "default": the configured one, otherwise the first usable group."""
        if self.settings.default_model:
            return self.resolve(self.settings.default_model)
        usable = (each for each in self.deployments if each.listed and not each.missing)
        return next((each.group for each in usable if "*" not in each.group), None)

    def names(self) -> tuple[str, ...]:
        """The model names that callers can use now: usable groups except wildcards, and aliases that are not hidden."""
        groups = dict.fromkeys(each.group for each in self.deployments if each.listed and not each.missing)
        aliases = (
            alias
            for alias, target in self.settings.model_group_alias.items()
            if alias not in self.settings.hidden_aliases and self.resolve(target) in groups
        )
        return tuple(dict.fromkeys([*(group for group in groups if "*" not in group), *aliases]))

    def fallbacks(self, name: str, kind: Literal["any", "context_window", "content_policy"] = "any") -> tuple[str, ...]:
        """The fallbacks of the model `name` after a failure of this kind, in order.

        Fallbacks of the name itself, such as one that a wildcard serves, win over those of its group.
        """
        settings, names = self.settings, (name, self.resolve(name) or name, "*")
        if kind == "content_policy":
            return _first_of(settings.content_policy_fallbacks, names)
        general = _first_of(settings.fallbacks, names) or settings.default_fallbacks
        if kind == "context_window":
            return _first_of(settings.context_window_fallbacks, names) or general
        return general


def matches_group(group: str, name: str) -> bool:
    """Whether `group` is `name`, or a wildcard that matches it."""
    return group == name or ("*" in group and _match(group, name) is not None)


def _first_of(mapping: Mapping[str, tuple[str, ...]], names: tuple[str, ...]) -> tuple[str, ...]:
    return next((found for each in names if (found := mapping.get(each))), ())


@lru_cache(maxsize=1024)
def _with_wildcard_filled(deployment: Deployment, requested: str) -> Deployment:
    # Cached because the lanes identify a deployment by object identity.
    matched = _match(deployment.group, requested)
    filled = matched.group(1) if matched and matched.groups() else requested
    return replace(deployment, model=deployment.model.replace("*", filled, 1), filled=filled)


def _serves(wildcard: str, name: str) -> bool:
    matched = _match(wildcard, name)
    return matched is not None and all(map(_PLAIN_NAME.fullmatch, matched.groups()))


def _match(wildcard: str, name: str) -> re.Match[str] | None:
    return re.fullmatch("(.*)".join(map(re.escape, wildcard.split("*"))), name, re.DOTALL)


_SEGMENT = r"(?!\.{1,2}(?:/|$))[\w.:@+~=,-]+"
_PLAIN_NAME = re.compile(f"{_SEGMENT}(?:/{_SEGMENT})*", re.ASCII)
"""Segments joined by slashes: none is empty, `.` or `..`, and none has a character with a meaning in a URL."""
