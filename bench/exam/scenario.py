"""A scenario: which providers stand behind a model name, and what the caller must then hear."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from bench.exam.sitting import Sitting

Role = Literal["main", "spare", "last", "context", "policy"]
"""The group that is asked for, the fallbacks in their order, and those for too long and for refused messages."""

KEY = "sk-exam-0123456789abcdef"
"""The providers' key: it must never be heard."""


@dataclass(frozen=True, slots=True)
class Provider:
    """One deployment: a behaviour of the fake provider, `refused` for a port where nobody listens.

    `params` and `info` go into litellm_params and model_info.
    """

    behaviour: str
    params: Mapping[str, Any] = field(default_factory=dict)
    info: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Scenario:
    """`name` is the model that the caller asks for; `title` says in words what happens; `sit` asks and judges."""

    name: str
    title: str
    providers: Mapping[Role, Sequence[Provider]]
    sit: Callable[[Sitting], Awaitable[None]]


def models_file(
    scenarios: Sequence[Scenario], settings: Mapping[str, Any], provider: str, nobody: str
) -> dict[str, Any]:
    """models.yaml for all scenarios together; none of them shares a group or a provider's model with another.

    `provider` and `nobody` are the addresses of the fake provider and of a port that refuses.
    """
    entries: list[dict[str, Any]] = []
    fallbacks: dict[str, list[dict[str, list[str]]]] = {}
    for scenario in scenarios:
        for role, providers in scenario.providers.items():
            for number, each in enumerate(providers):
                entries.append(_entry(scenario.name, role, number, each, provider, nobody))
        for section, roles in _SECTIONS.items():
            if groups := [group(scenario.name, role) for role in roles if role in scenario.providers]:
                fallbacks.setdefault(section, []).append({scenario.name: groups})
    return {"model_list": entries, "router_settings": {**settings, **fallbacks}}


def group(scenario: str, role: Role) -> str:
    """The model name under which that role of the scenario is served."""
    return scenario if role == "main" else f"{scenario}-{role}"


_SECTIONS: Mapping[str, Sequence[Role]] = {
    "fallbacks": ("spare", "last"),
    "context_window_fallbacks": ("context",),
    "content_policy_fallbacks": ("policy",),
}


def _entry(scenario: str, role: Role, number: int, each: Provider, provider: str, nobody: str) -> dict[str, Any]:
    name, mark, pace = each.behaviour.partition("?")
    model = f"openai/{name}:{scenario}.{role}{number + 1}{mark}{pace}"
    address = nobody if name == "refused" else provider
    params = {"model": model, "api_base": address, "api_key": KEY, "order": number, **each.params}
    return {"model_name": group(scenario, role), "litellm_params": params, "model_info": dict(each.info)}
