"""A scenario: the deployments behind a model name, and the check of what the caller receives."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from bench.exam.scenario_run import ScenarioRun

Role = Literal["main", "spare", "last", "context", "policy", "both"]
"""The requested group, its two fallbacks in order, its context window fallback, its content policy fallback,
and one that is in all three lists."""
Check = Callable[[ScenarioRun], Awaitable[None]]
"""Sends turns and records what is wrong with the answers."""

KEY = "sk-exam-0123456789abcdef"
"""The providers' API key, which must not reach the caller or the log."""


@dataclass(frozen=True, slots=True)
class FakeDeployment:
    """A deployment on the fake provider.

    behaviour: the fake model, or `refused` for a port that refuses connections.
    params, info: entries of litellm_params and model_info.
    """

    behaviour: str
    params: Mapping[str, Any] = field(default_factory=dict)
    info: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Scenario:
    """`name` is the requested model; `title` is the line in the report."""

    name: str
    title: str
    deployments: Mapping[Role, Sequence[FakeDeployment]]
    check: Check


def models_file(
    scenarios: Sequence[Scenario], settings: Mapping[str, Any], provider_url: str, refusing_url: str
) -> dict[str, Any]:
    """Return models.yaml for all scenarios. Each has its own groups and provider models.

    `refusing_url` is an address that refuses connections.
    """
    entries: list[dict[str, Any]] = []
    fallbacks: dict[str, list[dict[str, list[str]]]] = {}
    for scenario in scenarios:
        for role, deployments in scenario.deployments.items():
            for number, each in enumerate(deployments):
                url = refusing_url if each.behaviour == "refused" else provider_url
                entries.append(_entry(scenario.name, role, number, each, url))
        for section, roles in _FALLBACK_SECTIONS.items():
            if groups := [group(scenario.name, role) for role in roles if role in scenario.deployments]:
                fallbacks.setdefault(section, []).append({scenario.name: groups})
    return {"model_list": entries, "router_settings": {**settings, **fallbacks}}


def group(scenario: str, role: Role) -> str:
    """Return the group of this role."""
    return scenario if role == "main" else f"{scenario}-{role}"


_FALLBACK_SECTIONS: Mapping[str, Sequence[Role]] = {
    "fallbacks": ("spare", "last", "both"),
    "context_window_fallbacks": ("context", "both"),
    "content_policy_fallbacks": ("policy", "both"),
}


def _entry(scenario: str, role: Role, number: int, deployment: FakeDeployment, url: str) -> dict[str, Any]:
    name, mark, timing = deployment.behaviour.partition("?")
    model = f"openai/{name}:{scenario}.{role}{number + 1}{mark}{timing}"
    params = {"model": model, "api_base": url, "api_key": KEY, "order": number, **deployment.params}
    return {"model_name": group(scenario, role), "litellm_params": params, "model_info": dict(deployment.info)}
