"""The traffic of a soak: which models exist, with which faults, and how often each is requested."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["text", "tool", "transfer"]

SETTINGS: dict[str, Any] = {
    "turn_deadline": 8,
    "first_token_timeout": 0.5,
    "stall_timeout": 0.5,
    "cooldown_time": 1,
}
"""Shorter timeouts than the defaults, for more faults per minute."""

_FAULTS = (
    "fake-429", "fake-429-retry-after", "fake-500-once", "fake-503", "fake-flap", "fake-401", "fake-404", "fake-reset",
    "fake-silent", "fake-slow-first-token", "fake-stall-early", "fake-stall", "fake-cut", "fake-cut?gap=5ms",
    "fake-inband-error", "fake-inband-error-late?gap=5ms", "fake-malformed", "fake-no-done", "fake-html", "fake-empty",
    "fake-outage-2", "fake-ok?first=50ms&gap=10ms", "fake-context", "fake-filter", "fake-400",
)  # fmt: skip
_SPARES = ("fake-ok", "fake-continue", "fake-overlap", "fake-restart", "fake-no-prefill")
_PREFILL = {"fake-no-prefill", "fake-continue"}


@dataclass(frozen=True, slots=True)
class RequestType:
    """A requested model, with the relative frequency `weight`."""

    model: str
    kind: Kind = "text"
    weight: int = 1
    hangs_up: bool = False


def request_types() -> tuple[RequestType, ...]:
    """Return one request type per fault, plus good answers, hang-ups, tool calls and groups without fallbacks."""
    return (
        *(RequestType(_model_name(fault)) for fault in _FAULTS),
        RequestType("good", weight=8),
        RequestType("gone", weight=4, hangs_up=True),
        RequestType("gone-silent", weight=2, hangs_up=True),
        RequestType("tool", kind="tool", weight=2),
        RequestType("transfer", kind="transfer", weight=2),
        RequestType("alone"),
        RequestType("nobody"),
    )


def models_file(provider_url: str, refusing_url: str) -> dict[str, Any]:
    """Return models.yaml for the traffic. The faults have different kinds of fallbacks.

    `refusing_url` is an address that refuses connections.
    """
    entries, fallbacks = [], []

    def add(name: str, *behaviours: str, url: str = provider_url) -> None:
        for order, behaviour in enumerate(behaviours):
            model, mark, timing = behaviour.partition("?")
            params = {
                "model": f"openai/{model}:{name}{mark}{timing}",
                "api_base": url,
                "api_key": "sk-soak",
                "order": order,
            }
            entries.append(
                {
                    "model_name": name,
                    "litellm_params": params,
                    "model_info": {"supports_assistant_prefill": model in _PREFILL},
                }
            )

    for number, fault in enumerate(_FAULTS):
        name = _model_name(fault)
        add(name, fault)
        add(f"{name}-spare", _SPARES[number % len(_SPARES)])
        fallbacks.append({name: [f"{name}-spare"]})
    add("good", "fake-ok")
    add("gone", "fake-ok?first=50ms&gap=20ms")
    add("gone-silent", "fake-silent", "fake-stall")
    add("tool", "fake-tool-cut", "fake-tool")
    add("transfer", "fake-tool-cut", "fake-tool")
    add("alone", "fake-cut?gap=5ms")
    add("nobody", "fake-ok", url=refusing_url)
    return {"model_list": entries, "router_settings": {**SETTINGS, "fallbacks": fallbacks}}


def _model_name(fault: str) -> str:
    """Return the fault without `fake-`, and with "-paced" for a timing."""
    name, mark, _ = fault.removeprefix("fake-").partition("?")
    return f"{name}-paced" if mark else name
